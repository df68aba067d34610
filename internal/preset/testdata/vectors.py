#!/usr/bin/env python3
"""Writes vectors.json: requests as each preset's sender would make them.

Signatures come from hashlib, hmac and the cryptography package, and each sender's scheme is
written out here once more, so that the code and its tests cannot be wrong together. Vectors
that a sender has published are marked so and were not computed here.

Run: python3 vectors.py > vectors.json   (needs: pip install cryptography)
"""
import base64, hashlib, hmac, json
from urllib.parse import parse_qsl, urlencode
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

NOW = 1795294619  # 2026-11-21T20:56:59Z
URL = "https://hooks.example.com/base/in/door"
SECRET = "a-secret-of-more-than-24-characters"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
cases = []


def raw(x):
    return x if isinstance(x, bytes) else x.encode()


def mac(content, key=SECRET, h="sha256"):
    return hmac.new(raw(key), raw(content), h).digest()


def b64(x):
    return base64.b64encode(x).decode()


def case(preset, headers, body, secret=SECRET, url=URL, method="POST", now=NOW, type=JSON, age=None, published=None, note=None,
         secrets=None):
    """age: seconds after now at which the request must be refused as too old, None if its time is not signed."""
    hs = [[k, v] for k, v in headers.items()] if isinstance(headers, dict) else headers
    if type:
        hs = [["Content-Type", type]] + hs
    c = {"preset": preset, "secrets": secrets or [secret], "method": method, "url": url, "headers": hs,
         "body64": b64(raw(body)), "now": now}
    if age:
        c["age"] = age
    if published:
        c["published"] = published
    if note:
        c["note"] = note
    cases.append(c)


BODY = '{"id":"evt_1","type":"order.paid","total":12.50,"name":"Zo\u00eb"}'
BYTES = b'\xff\xfe\x00binary\x80'  # no UTF-8
ts = str(NOW)
ms = str(NOW * 1000 + 250)
iso = "2026-11-21T20:56:59Z"

# HMAC-SHA256 of the body, in hex
for preset, header, prefix in [
    ("github", "X-Hub-Signature-256", "sha256="), ("bitbucket", "X-Hub-Signature", "sha256="), ("jira", "X-Hub-Signature", "sha256="),
    ("gitea", "X-Gitea-Signature", ""), ("gitea", "X-Forgejo-Signature", ""), ("gitea", "X-Gogs-Signature", ""),
    ("mixpost", "X-Signature", ""), ("meta", "X-Hub-Signature-256", "sha256="), ("cal-com", "X-Cal-Signature-256", ""),
    ("dropbox", "X-Dropbox-Signature", ""), ("sentry", "Sentry-Hook-Signature", ""), ("launchdarkly", "X-LD-Signature", ""),
    ("lemon-squeezy", "X-Signature", ""), ("razorpay", "X-Razorpay-Signature", ""), ("gocardless", "Webhook-Signature", ""),
    ("coinbase-commerce", "X-CC-Webhook-Signature", ""), ("checkout-com", "Cko-Signature", ""), ("dwolla", "X-Request-Signature-SHA-256", ""),
    ("pusher", "X-Pusher-Signature", ""), ("notion", "X-Notion-Signature", "sha256="), ("nylas", "x-nylas-signature", ""),
    ("smartsheet", "Smartsheet-Hmac-SHA256", ""), ("snyk", "X-Hub-Signature", "sha256="),
    ("pagerduty", "X-PagerDuty-Signature", "v1="), ("circleci", "circleci-signature", "v1="),
]:
    case(preset, {header: prefix + mac(BODY).hex()}, BODY)
case("github", {"X-Hub-Signature-256": "sha256=" + mac(BYTES).hex()}, BYTES, type="application/octet-stream", note="a body that is no UTF-8")
case("github", {"X-Hub-Signature-256": "sha256=" + mac(BODY).hex().upper()}, BODY, note="hex in upper case")
case("github", {"X-Hub-Signature-256": "sha256=" + mac("").hex()}, "", note="an empty body")
case("pagerduty", {"X-PagerDuty-Signature": "v1=" + "0" * 64 + ",v1=" + mac(BODY).hex()}, BODY, note="two signatures")

# HMAC-SHA256 of the body, in base64
for preset, header, prefix in [
    ("shopify", "X-Shopify-Hmac-Sha256", ""), ("typeform", "Typeform-Signature", "sha256="), ("tally", "tally-signature", ""),
    ("docusign", "X-DocuSign-Signature-1", ""), ("docusign", "X-DocuSign-Signature-3", ""), ("woocommerce", "X-WC-Webhook-Signature", ""),
    ("heroku", "Heroku-Webhook-Hmac-SHA256", ""), ("xero", "x-xero-signature", ""), ("quickbooks", "intuit-signature", ""),
    ("twitter", "x-twitter-webhooks-signature", "sha256="), ("line", "x-line-signature", ""), ("flutterwave", "flutterwave-signature", ""),
]:
    case(preset, {header: prefix + b64(mac(BODY))}, BODY)

# other hashes of the body
for preset, header, prefix, h in [
    ("etlworks", "X-Etl-Webhook-Signature", "", "sha1"), ("intercom", "X-Hub-Signature", "sha1=", "sha1"),
    ("vercel", "x-vercel-signature", "", "sha1"), ("webex", "X-Spark-Signature", "", "sha1"), ("segment", "X-Signature", "", "sha1"),
    ("paystack", "x-paystack-signature", "", "sha512"), ("terraform-cloud", "X-TFE-Notification-Signature", "", "sha512"),
]:
    case(preset, {header: prefix + mac(BODY, h=h).hex()}, BODY)
case("etlworks", {"X-Etl-Webhook-Signature": b64(mac(BODY, h="sha1"))}, BODY, note="base64")
KEY = bytes(range(32))
case("adyen", {"hmacsignature": b64(mac(BODY, KEY))}, BODY, secret=KEY.hex().upper())
case("airtable", {"X-Airtable-Content-MAC": "hmac-sha256=" + mac(BODY, KEY).hex()}, BODY, secret=b64(KEY))

# tokens
for preset, header in [("gitlab", "X-Gitlab-Token"), ("okta", "Authorization"), ("telegram", "X-Telegram-Bot-Api-Secret-Token"), ("flutterwave", "verif-hash")]:
    case(preset, {header: SECRET}, BODY, note="token")
case("figma", {}, json.dumps({"passcode": SECRET, "event_type": "PING"}), note="token")
case("microsoft-graph", {}, json.dumps({"value": [{"clientState": SECRET, "changeType": "updated"}]}), note="token")

# time and signature in one header
for preset, header, t, v, stamp, age in [
    ("stripe", "Stripe-Signature", "t=", "v1=", ts, 301), ("calendly", "Calendly-Webhook-Signature", "t=", "v1=", ts, 301),
    ("cloudflare-stream", "Webhook-Signature", "time=", "sig1=", ts, 301), ("mux", "mux-signature", "t=", "v1=", ts, 301),
    ("elevenlabs", "ElevenLabs-Signature", "t=", "v0=", ts, 1801), ("buildkite", "X-Buildkite-Signature", "timestamp=", "signature=", ts, 301),
    ("workos", "WorkOS-Signature", "t=", " v1=", ms, 301),
]:
    case(preset, {header: f"{t}{stamp},{v}{mac(stamp + '.' + BODY).hex()}"}, BODY, age=age)
case("stripe", {"Stripe-Signature": f"t={ts},v1={mac(ts + '.' + BODY, 'older').hex()},v1={mac(ts + '.' + BODY).hex()},v0=00"}, BODY, age=301, note="two secrets in rotation")
case("paddle", {"Paddle-Signature": f"ts={ts};h1={mac(ts + ':' + BODY).hex()}"}, BODY, age=301)
case("sanity", {"sanity-webhook-signature": f"t={ms},v1={base64.urlsafe_b64encode(mac(ms + '.' + BODY)).decode().rstrip('=')}"}, BODY, age=301)
case("ghost", {"X-Ghost-Signature": f"sha256={mac(BODY + ms).hex()}, t={ms}"}, BODY, age=301)
case("mercado-pago", {"x-signature": f"ts={ms},v1={mac(f'id:123456;request-id:req-1;ts:{ms};').hex()}", "x-request-id": "req-1"}, BODY,
     url=URL + "?data.id=123456&type=payment", note="the body is not signed")

case("coinbase", {"X-Hook0-Signature": f"t={ts},v0={mac(ts + '.' + BODY).hex()},h=content-type,v1=00"}, BODY, age=301)

# time in a header of its own
for preset, header, prefix, stamped, stamp, content, age in [
    ("slack", "X-Slack-Signature", "v0=", "X-Slack-Request-Timestamp", ts, f"v0:{ts}:{BODY}", 301),
    ("zoom", "x-zm-signature", "v0=", "x-zm-request-timestamp", ts, f"v0:{ts}:{BODY}", 301),
    ("frame-io", "X-Frameio-Signature", "v0=", "X-Frameio-Request-Timestamp", ts, f"v0:{ts}:{BODY}", 301),
    ("customer-io", "X-CIO-Signature", "", "X-CIO-Timestamp", ts, f"v0:{ts}:{BODY}", 301),
    ("webflow", "x-webflow-signature", "", "x-webflow-timestamp", ms, f"{ms}:{BODY}", 301),
]:
    case(preset, {header: prefix + mac(content).hex(), stamped: stamp}, BODY, age=age)
case("zendesk", {"X-Zendesk-Webhook-Signature": b64(mac(iso + BODY)), "X-Zendesk-Webhook-Signature-Timestamp": iso}, BODY, age=301)
for header in ("box-signature-primary", "box-signature-secondary"):
    case("box", {header: b64(mac(BODY + iso)), "box-delivery-timestamp": iso, "box-delivery-id": "d-1"}, BODY, age=601)
case("twitch", {"Twitch-Eventsub-Message-Id": "m-1", "Twitch-Eventsub-Message-Timestamp": "2026-11-21T20:56:59.000000000Z",
                "Twitch-Eventsub-Message-Signature": "sha256=" + mac("m-12026-11-21T20:56:59.000000000Z" + BODY).hex()}, BODY, age=601)
date = "Sat, 21 Nov 2026 20:56:59 GMT"
case("klaviyo", {"Klaviyo-Signature": mac(BODY + date).hex(), "Klaviyo-Timestamp": date}, BODY, age=301)
LINEAR = json.dumps({"action": "create", "type": "Issue", "webhookTimestamp": NOW * 1000})
case("linear", {"Linear-Signature": mac(LINEAR).hex()}, LINEAR, age=301)

# the URL is signed, too
for url in (URL, URL + "?b=2&a=%C3%A9"):
    case("square", {"x-square-hmacsha256-signature": b64(mac(url + BODY))}, BODY, url=url)
    case("trello", {"X-Trello-Webhook": b64(mac(BODY + url, h="sha1"))}, BODY, url=url)
url = URL + "?redirect=https%3A%2F%2Fa.example%2F%3Fq&x=%20"
case("hubspot", {"X-HubSpot-Signature-v3": b64(mac("POST" + URL + "?redirect=https://a.example/?q&x=%20" + BODY + ms)),
                 "X-HubSpot-Request-Timestamp": ms}, BODY, url=url, age=301)
case("hubspot", {"X-HubSpot-Signature-v3": b64(mac("POST" + url + BODY + ms)), "X-HubSpot-Request-Timestamp": ms}, BODY, url=url, age=301, note="the URL as it is")


def sorted_form(form):
    """As Twilio's libraries: sorted keys, each with its sorted different values."""
    pairs = sorted(set(parse_qsl(form, keep_blank_values=True)))
    return "".join(k + v for k, v in pairs)


form = urlencode([("To", "+18005551212"), ("From", "+12349013030"), ("Digits", "1234"), ("Body", "Gr\u00fc\u00dfe & mehr"), ("Media", "b"), ("Media", "a"), ("Media", "a"), ("Empty", "")])
for url in (URL + "?foo=1&bar=2", "https://hooks.example.com:8443/in/door"):
    case("twilio", {"X-Twilio-Signature": b64(mac(url + sorted_form(form), h="sha1"))}, form, url=url, type=FORM)
case("twilio", {"X-Twilio-Signature": b64(mac("https://hooks.example.com:443/in/door" + sorted_form(form), h="sha1"))}, form,
     url="https://hooks.example.com/in/door", type=FORM, note="signed with the port")
case("twilio", {"X-Twilio-Signature": b64(mac("https://hooks.example.com/in/door?a=1", h="sha1"))}, "", method="GET",
     url="https://hooks.example.com:8443/in/door?a=1", type=None, note="signed without the port; the body is not signed: there is none")
url = URL + "?bodySHA256=" + hashlib.sha256(raw(BODY)).hexdigest()
case("twilio", {"X-Twilio-Signature": b64(mac(url, h="sha1"))}, BODY, url=url, note="JSON")
case("mandrill", {"X-Mandrill-Signature": b64(mac(URL + "mandrill_events" + "[{\"event\":\"open\"}]", h="sha1"))},
     urlencode([("mandrill_events", "[{\"event\":\"open\"}]")]), type=FORM)

# Mailgun signs a time and a token
sig = mac(ts + "tok-1").hex()
case("mailgun", {}, json.dumps({"signature": {"timestamp": ts, "token": "tok-1", "signature": sig}, "event-data": {"event": "opened"}}), age=43201, note="the body is not signed")
case("mailgun", {}, urlencode([("timestamp", ts), ("token", "tok-1"), ("signature", sig), ("subject", "hi")]), type=FORM, age=43201, note="the body is not signed")
boundary = "b0undary"
parts = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in [("timestamp", ts), ("token", "tok-1"), ("signature", sig)])
case("mailgun", {}, parts + f"--{boundary}--\r\n", type="multipart/form-data; boundary=" + boundary, age=43201, note="the body is not signed")

# Standard Webhooks
WHSEC = "whsec_" + b64(KEY)


def standard(preset, prefix, secret=WHSEC, key=KEY, **more):
    case(preset, {prefix + "-id": "msg_1", prefix + "-timestamp": ts,
                  prefix + "-signature": "v1," + b64(mac(f"msg_1.{ts}.{BODY}", key))}, BODY, secret=secret, age=301, **more)


for preset in ("standard-webhooks", "svix", "openai", "replicate", "sallyport"):
    standard(preset, "webhook")
for preset in ("svix", "clerk", "resend"):
    standard(preset, "svix")
standard("gitlab", "webhook")
standard("supabase", "webhook", secret="v1," + WHSEC)
standard("sallyport", "webhook", secret=SECRET, key=SECRET, note="a secret without whsec_")
case("standard-webhooks", {"webhook-id": "msg_1", "webhook-timestamp": ts,
                           "webhook-signature": f"v1,{b64(mac(f'msg_1.{ts}.{BODY}', b'older'))} v1,{b64(mac(f'msg_1.{ts}.{BODY}', KEY))} v1a,AAAA"}, BODY, secret=WHSEC, age=301, note="rotation")

# public keys, from fixed private ones so that this file stays as it is
ed = ed25519.Ed25519PrivateKey.from_private_bytes(KEY)
edpub = ed.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
edpem = ed.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
for secret in (edpub.hex(), edpub.hex().upper(), edpem):
    case("discord", {"X-Signature-Ed25519": ed.sign(raw(ts + BODY)).hex(), "X-Signature-Timestamp": ts}, BODY, secret=secret, age=301)
case("standard-webhooks", {"webhook-id": "msg_1", "webhook-timestamp": ts, "webhook-signature": "v1a," + b64(ed.sign(raw(f"msg_1.{ts}.{BODY}")))}, BODY,
     secret="whpk_" + b64(edpub), age=301, note="v1a")

p256 = ec.derive_private_key(int.from_bytes(KEY[1:], "big"), ec.SECP256R1())
p256der = p256.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
p256pem = p256.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
for secret in (b64(p256der), p256pem):
    case("sendgrid", {"X-Twilio-Email-Event-Webhook-Signature": b64(p256.sign(raw(ts + BODY), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))),
                      "X-Twilio-Email-Event-Webhook-Timestamp": ts}, BODY, secret=secret, age=301)

# made anew on each run
rsakey = rsa.generate_private_key(65537, 2048)
rsapem = rsakey.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
sign = lambda content: b64(rsakey.sign(raw(content), padding.PKCS1v15(), hashes.SHA256()))
case("wise", {"X-Signature-SHA256": sign(BODY), "X-Delivery-Id": "d-1"}, BODY, secret=rsapem)
case("kick", {"Kick-Event-Message-Id": "m-1", "Kick-Event-Message-Timestamp": iso, "Kick-Event-Signature": sign(f"m-1.{iso}.{BODY}")}, BODY, secret=rsapem, age=301)

# U1 and U2
PRODUCTS = '{"products":[{"sku":"A-1","qty":3}]}'
case("github", {"X-Hub-Signature-256": "sha256=3da2b46e822524ada173226e99ea16853588a900ecfae569ccd8cefac7774e0b"}, PRODUCTS, secret="alumio-shared", published="U1")
case("shopify", {"X-Shopify-Hmac-Sha256": "PaK0boIlJK2hcyJumeoWhTWIqQDs+uVpzNjO+sd3Tgs="}, PRODUCTS, secret="alumio-shared", published="U2")

# published by the senders
case("github", {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}, "Hello, World!",
     secret="It's a Secret to Everybody", published="GitHub, validating webhook deliveries")
case("slack", {"X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503", "X-Slack-Request-Timestamp": "1531420618"},
     "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
     "&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
     "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c", secret="8f742231b10e8888abcd99yyyzzz85a5", type=FORM, now=1531420618, age=301,
     published="Slack, verifying requests")
case("standard-webhooks", {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330", "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
     '{"test": 2432232314}', secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", now=1614265330, age=301, published="Standard Webhooks, libraries' tests")
case("twilio", {"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
     urlencode([("Digits", "1234"), ("CallSid", "CA1234567890ABCDE"), ("To", "+18005551212"), ("Caller", "+14158675309"), ("From", "+14158675309")]),
     secret="12345", url="https://mycompany.com/myapp.php?foo=1&bar=2", type=FORM, published="Twilio, security of webhooks")
case("twilio", {"X-Twilio-Signature": "a9nBmqA0ju/hNViExpshrM61xv4="}, '{"property": "value", "boolean": true}', secret="12345",
     url="https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
     published="Twilio, libraries' tests")
case("sendgrid", {"X-Twilio-Email-Event-Webhook-Signature": "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=",
                  "X-Twilio-Email-Event-Webhook-Timestamp": "1600112502"},
     '[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA","sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n',
     secret="MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
     now=1600112502, age=301, published="SendGrid, libraries' tests")

case("bitbucket", {"X-Hub-Signature": "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"}, "Hello World!",
     secret="It's a Secret to Everybody", published="Bitbucket, manage webhooks")
case("mux", {"mux-signature": "t=1591664030,v1=e43496b6aae982c4c2fd6f8e92935f1d90216f1f64d56024e72390acfb988272"}, "payload", secret="SuperSecret123",
     now=1591664030, age=301, published="Mux, Elixir library's documentation")
case("razorpay", {"X-Razorpay-Signature": "ee0a3edebeb4be41bafa3bc0a39069d7845a5c37760b863405049de80b5fe92d"}, "{a:1, b:2}", secret="123456",
     published="Razorpay, in the Node library's issue 29")

print(json.dumps(cases, indent=1, ensure_ascii=False))
