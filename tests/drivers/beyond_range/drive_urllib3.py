from common import instrument, plain, report, serve_wsgi

instrument("urllib3")
import urllib3  # noqa: E402

assert urllib3.PoolManager().request("GET", serve_wsgi(plain)).status == 200
report()
