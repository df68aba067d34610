// Verifies requests with the libraries that their receivers use. Reads a list of
// {name, library, secret, headers, body} on standard input, the body in base64, and writes
// for each either null or why the library refuses it.
import { createHmac, timingSafeEqual } from "node:crypto";
import { text } from "node:stream/consumers";
import * as octokit from "@octokit/webhooks-methods";
import * as standard from "standardwebhooks";
import Stripe from "stripe";
import * as svix from "svix";

const libraries = {
  standardwebhooks: (r) => new standard.Webhook(r.secret).verify(r.body, r.headers),
  svix: (r) => new svix.Webhook(r.secret).verify(r.body, r.headers),
  stripe: (r) => new Stripe("sk_test_unused").webhooks.constructEvent(r.body, r.headers["stripe-signature"], r.secret),
  octokit: async (r) => {
    if (!(await octokit.verify(r.secret, r.body.toString("utf8"), r.headers["x-hub-signature-256"]))) throw new Error("octokit says no");
  },
  // Three lines of Shopify's documentation.
  shopify: (r) => {
    const digest = createHmac("sha256", r.secret).update(r.body).digest();
    const given = Buffer.from(r.headers["x-shopify-hmac-sha256"] ?? "", "base64");
    if (digest.length !== given.length || !timingSafeEqual(digest, given)) throw new Error("the HMAC differs");
  },
};

const out = [];
for (const r of JSON.parse(await text(process.stdin))) {
  try {
    await libraries[r.library]({ ...r, body: Buffer.from(r.body, "base64") });
    out.push(null);
  } catch (e) {
    out.push(String(e?.message ?? e));
  }
}
console.log(JSON.stringify(out));
