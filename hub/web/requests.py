"""What a browser sent with a form, and whether it was one of our own pages that asked for it."""

from urllib.parse import parse_qsl, urlsplit

from hub.web.problems import Problem
from hub.web.render import Asked

MOST_FIELDS = 10
FORM = "application/x-www-form-urlencoded"


def refuse_foreign(request: Asked, public_url: str) -> None:
    """A page of another site must not answer in the officer's name. Raises Problem.

    Browsers say where a form came from; what says nothing is not a browser that could have been misled. Without TLS
    they leave the first of the two out, and old ones always.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    here = {request.headers.get("host", ""), urlsplit(public_url).netloc} - {""}
    if site is None and origin is not None and urlsplit(origin).netloc not in here:
        site = origin
    if site not in {None, "same-origin", "none"}:
        raise Problem(f"this form came from another site ({site}); open the duty desk and enter it there", 403,
                      zh=f"此表单来自其他网站（{site}）；请打开值班台，在值班台填写")


async def fields_of(request: Asked) -> dict[str, str]:
    """The form's fields. Raises Problem for what is not a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if body and kind != FORM:
        raise Problem.of_value("content-type", kind, FORM, 415)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError as err:
        raise Problem(f"the form cannot be read: {err}; send {FORM} in UTF-8",
                      zh=f"表单无法读取：{err}；请用 UTF-8 编码发送 {FORM}") from err
    return dict(pairs)
