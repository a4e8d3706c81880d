from common import instrument, report, through_asgi

instrument("starlette")
from starlette.applications import Starlette  # noqa: E402
from starlette.responses import PlainTextResponse  # noqa: E402
from starlette.routing import Route  # noqa: E402


async def order(request):
    return PlainTextResponse("order " + request.path_params["number"])


through_asgi(Starlette(routes=[Route("/orders/{number}", order)]))
report()
