// Package testkit is what tests share: a throwaway Postgres, a real HTTP receiver that
// records what it gets, and the built binary. Nothing in it skips a test: what is missing on
// the machine fails with the command that installs it.
package testkit
