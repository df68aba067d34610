// Package hook holds the nouns of Sallyport and their rules: events, webhooks,
// deliveries, attempts, workspaces, keys, and the kinds of errors. It imports
// the standard library and uuid only; every other package points at it.
//
// # States of a delivery
//
//	pending --claim--> running --success code--> succeeded
//	   ^                  |---retryable--> pending (due later)
//	   |                  |---permanent, or attempts exhausted--> failed  (the dead letter)
//	   '--lane full at birth                                     skipped  (by an operator, the target
//	                                                             was deleted, or its condition said no)
//
// A delivery usually is born running (handed straight to a lane of the node that
// accepted its event) and ends succeeded: two writes in all. An operator's retry
// makes any final state wait again. The API shows pending for rows that wait,
// running once a claim holds them, and held when their target is paused,
// suspended or disabled; held is derived, never stored. Only an operator's skip,
// deleting the target, or the target's own condition discards an accepted delivery.
package hook
