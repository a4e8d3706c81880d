from common import instrument, report, through_wsgi

instrument("flask")
from flask import Flask  # noqa: E402  (the class is replaced by the instrumentation)

app = Flask(__name__)


@app.get("/orders/<int:number>")
def order(number):
    return "order %d" % number


through_wsgi(app)
report()
