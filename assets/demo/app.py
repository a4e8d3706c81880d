"""The sample app of `signoz-setup --demo`: a tiny shop with a database call in each request."""

import sqlite3

from flask import Flask, jsonify

app = Flask(__name__)


def stock():
    with sqlite3.connect(":memory:") as db:
        db.execute("create table stock (item text, pieces integer)")
        db.executemany("insert into stock values (?, ?)", [("tea", 3), ("cups", 12)])
        return dict(db.execute("select item, pieces from stock"))


@app.route("/")
def index():
    return jsonify(stock())
