from common import instrument, report

instrument("sqlalchemy")
import sqlalchemy  # noqa: E402

with sqlalchemy.create_engine("sqlite://").connect() as connection:
    assert connection.execute(sqlalchemy.text("SELECT 7")).scalar() == 7
report()
