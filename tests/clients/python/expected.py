"""What the simulator answers: a pure function of the upload, so that a swapped or mangled answer shows.

The same rules are in `../node/expected.cjs`. They are written from the simulator's description, not from its code.
"""

import hashlib

PAGE_URL = "https://page.example/sign-in?step=1&lang=en"


def digest(data: bytes | str) -> bytes:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).digest()


def image(picture: bytes) -> str:
    return digest(picture).hex()[:8]


def digits(picture: bytes) -> str:
    """`numeric=1`: the same four bytes as a decimal number."""
    return str(int.from_bytes(digest(picture)[:4], "big"))


def text(question: str) -> str:
    return digest(question).hex()[:8]


def grid(picture: bytes) -> str:
    b = digest(picture)
    return f"click:{1 + b[0] % 3}/{4 + b[1] % 3}/{7 + b[2] % 3}"


def coordinates_text(picture: bytes) -> str:
    b = digest(picture)
    return f"coordinate:x={b[0]},y={b[1]};x={b[2]},y={b[3]}"


def coordinates_json(picture: bytes) -> list[dict[str, str]]:
    b = digest(picture)
    return [{"x": str(b[0]), "y": str(b[1])}, {"x": str(b[2]), "y": str(b[3])}]


def rotate(pictures: list[bytes], angle: int = 40) -> str:
    def turn(b: bytes) -> int:
        degrees = angle * (1 + b[0] % 8)
        return -degrees if b[1] % 2 else degrees

    return "|".join(str(turn(digest(picture))) for picture in pictures)


def token_digest(site: str, page_url: str = PAGE_URL) -> str:
    return digest(f"{site}|{page_url}").hex()


def token(site: str, page_url: str = PAGE_URL) -> str:
    return "token-" + token_digest(site, page_url)


def funcaptcha(public_key: str, page_url: str = PAGE_URL) -> str:
    return f"{token_digest(public_key, page_url)[:16]}|r=us-east-1|pk={public_key}"


def keycaptcha(user_id: str, page_url: str = PAGE_URL) -> str:
    h = token_digest(user_id, page_url)
    return f"{h[:16]}|{h[16:32]}|{page_url}|c|1"


def geetest(gt: str, challenge: str, page_url: str = PAGE_URL) -> dict[str, str]:
    h = token_digest(gt, page_url)[:32]
    return {"geetest_challenge": challenge, "geetest_validate": h, "geetest_seccode": h + "|jordan"}


def geetest_v4(captcha_id: str, page_url: str = PAGE_URL) -> dict[str, str]:
    h = token_digest(captcha_id, page_url)
    return {
        "captcha_id": captcha_id,
        "lot_number": h[:32],
        "pass_token": h,
        "gen_time": "1700000000",
        "captcha_output": h[32:64],
    }
