// Signs requests as their senders do, with the senders' own libraries. Reads a list of
// {library, secret, url, id, at, body} on standard input, the time in seconds and the body in
// base64, and writes for each {url, headers}: where it goes and what it carries.
//
// What a library can only verify is signed here as its documentation says, and the library
// must take it: else the program ends.
import hubspot from "@hubspot/api-client";
import { Webhooks } from "@octokit/webhooks";
import { EventWebhook } from "@sendgrid/eventwebhook";
import { WorkOS } from "@workos-inc/node";
import { verifyKey } from "discord-interactions";
import { verifySignature } from "gocardless-nodejs/webhooks";
import { createHmac, createPublicKey, sign } from "node:crypto";
import { text } from "node:stream/consumers";
import Pusher from "pusher";
import Token from "pusher/lib/token.js";
import Razorpay from "razorpay";
import * as standard from "standardwebhooks";
import Stripe from "stripe";
import * as svix from "svix";
import twilio from "twilio";

const hmac = (secret, content, encoding = "hex") => createHmac("sha256", secret).update(content).digest(encoding);
const must = (taken) => {
  if (!taken) throw new Error("the library refuses it");
};

const libraries = {
  octokit: async (r) => ({ "X-GitHub-Event": "push", "X-GitHub-Delivery": r.id, "X-Hub-Signature-256": await new Webhooks({ secret: r.secret }).sign(r.body) }),
  stripe: (r) => ({ "Stripe-Signature": new Stripe("sk_test_unused").webhooks.generateTestHeaderString({ payload: r.body, secret: r.secret, timestamp: r.at }) }),
  svix: (r) => ({ "svix-id": r.id, "svix-timestamp": r.at, "svix-signature": new svix.Webhook(r.secret).sign(r.id, new Date(r.at * 1000), r.body) }),
  standardwebhooks: (r) => ({
    "webhook-id": r.id, "webhook-timestamp": r.at, "webhook-signature": new standard.Webhook(r.secret).sign(r.id, new Date(r.at * 1000), r.body),
  }),
  twilio: (r) => ({
    "Content-Type": "application/x-www-form-urlencoded",
    "X-Twilio-Signature": twilio.getExpectedTwilioSignature(r.secret, r.url, Object.fromEntries(new URLSearchParams(r.body))),
  }),
  // A body that is no form is signed by its digest in the URL.
  "twilio-json": (r) => {
    r.url += `?bodySHA256=${twilio.getExpectedBodyHash(r.body)}`;
    return { "X-Twilio-Signature": twilio.getExpectedTwilioSignature(r.secret, r.url, {}) };
  },
  hubspot: (r) => {
    const timestamp = r.at * 1000;
    const options = { clientSecret: r.secret, requestBody: r.body, url: r.url, timestamp };
    return { "X-HubSpot-Request-Timestamp": timestamp, "X-HubSpot-Signature-v3": hubspot.Signature.getSignature("POST", "v3", options) };
  },
  workos: async (r) => {
    const t = r.at * 1000;
    return { "WorkOS-Signature": `t=${t}, v1=${await new WorkOS("sk_test_unused").webhooks.computeSignature(t, r.body, r.secret)}` };
  },
  pusher: (r) => {
    const headers = { "content-type": "application/json", "x-pusher-key": "app", "x-pusher-signature": new Token("app", r.secret).sign(r.body) };
    must(new Pusher({ appId: "1", key: "app", secret: r.secret, cluster: "eu" }).webhook({ headers, rawBody: r.body }).isValid());
    return headers;
  },
  razorpay: (r) => {
    const signature = hmac(r.secret, r.body);
    must(Razorpay.validateWebhookSignature(r.body, signature, r.secret));
    return { "X-Razorpay-Event-Id": r.id, "X-Razorpay-Signature": signature };
  },
  gocardless: (r) => {
    const signature = hmac(r.secret, r.body);
    verifySignature(r.body, r.secret, signature); // throws
    return { "Webhook-Signature": signature };
  },
  // The secret of these two is a private key in PEM.
  discord: async (r) => {
    const signature = sign(null, Buffer.from(r.at + r.body), r.secret).toString("hex");
    const key = createPublicKey(r.secret).export({ format: "der", type: "spki" }).subarray(-32).toString("hex");
    must(await verifyKey(r.body, signature, `${r.at}`, key));
    return { "X-Signature-Ed25519": signature, "X-Signature-Timestamp": r.at };
  },
  sendgrid: (r) => {
    const signature = sign("sha256", Buffer.from(r.at + r.body), r.secret).toString("base64");
    const webhook = new EventWebhook();
    const key = createPublicKey(r.secret).export({ format: "der", type: "spki" }).toString("base64");
    must(webhook.verifySignature(webhook.convertPublicKeyToECDSA(key), r.body, signature, `${r.at}`));
    return { "X-Twilio-Email-Event-Webhook-Signature": signature, "X-Twilio-Email-Event-Webhook-Timestamp": r.at };
  },
  // The rest have no library that a receiver is asked to use for this, or a very large one.
  slack: (r) => ({ "X-Slack-Request-Timestamp": r.at, "X-Slack-Signature": `v0=${hmac(r.secret, `v0:${r.at}:${r.body}`)}` }),
  zoom: (r) => ({ "x-zm-request-timestamp": r.at, "x-zm-signature": `v0=${hmac(r.secret, `v0:${r.at}:${r.body}`)}` }),
  square: (r) => ({ "X-Square-HmacSha256-Signature": hmac(r.secret, r.url + r.body, "base64") }),
  shopify: (r) => ({ "X-Shopify-Webhook-Id": r.id, "X-Shopify-Hmac-Sha256": hmac(r.secret, r.body, "base64") }),
};

const out = [];
for (const r of JSON.parse(await text(process.stdin))) {
  const request = { ...r, body: Buffer.from(r.body, "base64").toString() };
  try {
    const headers = await libraries[r.library](request);
    out.push({ url: request.url, headers: Object.fromEntries(Object.entries(headers).map(([n, v]) => [n, `${v}`])) });
  } catch (e) {
    throw new Error(`${r.library}: ${e?.message ?? e}`);
  }
}
console.log(JSON.stringify(out));
