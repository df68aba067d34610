// Package stats tells how the installation fares: what happens in each workspace per second,
// how much waits and for whom. Figures of all nodes go through the store; nothing here is on
// the way of an event.
package stats
