// Package alert writes the mails that tell people of operational events: what happened,
// since when, what was last seen, and the commands to look at it and to mend it.
package alert
