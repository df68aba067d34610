# SECRET=whsec_… python3 receiver.py
import base64, hashlib, hmac, json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ.get("SECRET") or exit("SECRET is not set")  # or everybody could call


def verify(headers, body: bytes) -> bool:
    """webhook-signature: HMAC-SHA256 of id, time and body, in base64; several while secrets change."""
    msg_id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not at.isdecimal() or abs(time.time() - int(at)) > 300:  # not of these five minutes
        return False
    key = base64.b64decode(SECRET[6:]) if SECRET.startswith("whsec_") else SECRET.encode()
    want = hmac.new(key, f"{msg_id}.{at}.".encode() + body, hashlib.sha256).digest()
    want = b"v1," + base64.b64encode(want)
    return any(hmac.compare_digest(want, s.encode()) for s in headers.get("webhook-signature", "").split())


def verify_body(headers, body: bytes) -> bool:
    """X-Signature: HMAC-SHA256 of the body, in hex, under the secret as it is written. It has no
    time. While secrets change, that of the new one is in X-Signature-Next."""
    want = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest().encode()
    return any(hmac.compare_digest(want, headers.get(name, "").encode()) for name in ("X-Signature", "X-Signature-Next"))


seen = set()  # in earnest a unique column, written in the transaction that does the work


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        try:
            status, text = self.receive()
        except Exception as e:
            print(e)
            status, text = 500, "failed"
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def receive(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))  # the raw bytes: they are what is signed
        plain = self.path == "/plain"
        if not (verify_body if plain else verify)(self.headers, body):
            return 401, "not signed with our secret"
        event = json.loads(body)
        event_id = event["eventId"] if plain else self.headers["webhook-id"]  # whichever is signed
        if event_id in seen:
            return 200, "seen"
        print("work on", event["eventType"], event.get("entity"))
        seen.add(event_id)  # after the work: what failed comes again
        return 200, "done"


ThreadingHTTPServer(("", int(os.environ.get("PORT", "9000"))), Receiver).serve_forever()
