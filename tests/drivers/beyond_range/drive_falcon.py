from common import instrument, report, through_wsgi

instrument("falcon")
import falcon  # noqa: E402


class Order:
    def on_get(self, request, response, number):
        response.text = "order " + number


app = falcon.App()
app.add_route("/orders/{number}", Order())
through_wsgi(app)
report()
