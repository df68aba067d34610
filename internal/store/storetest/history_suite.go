package storetest

import "testing"

// History runs the suite of what is read, retried, skipped and purged once deliveries
// are stored.
func History(t *testing.T, open WorldOpener) {
	for name, test := range map[string]func(*testing.T, *World){
		"events are listed by filter and page":            eventsListed,
		"an event is found by its own or the client's id": eventFound,
		"states in lists agree with states in SQL":        statesAgree,
		"more targets than are merged":                    manyTargets,
		"deliveries by event, entity, type and time":      deliveriesFiltered,
		"a delivery shows all its attempts":               deliveryWhole,
		"evidence comes back as it was finished":          evidenceWhole,
		"matches tell who got an event and who not":       matches,
		"retry by hand":                                retryByHand,
		"skip by hand":                                 skipByHand,
		"skip and claim never both win":                skipRacesClaim,
		"deliveries of deleted targets are skipped":    skipDeleted,
		"actions and doors as targets":                 otherTargets,
		"health is flushed, loaded and shown":          health,
		"the queue is measured by target":              queueMeasured,
		"targets say that the installation is on hold": holdShows,
		"a queue of many targets":                      queuePages,
		"rates are of all nodes":                       ratesCounted,
		"what nodes have in hand":                      runningNoted,
		"dead letters are counted so far":              failedCounted,
		"the database has a size":                      databaseSized,
		"verbs of operators are on record":             auditOfOperators,
		"retention of the audit log":                   auditRetention,
		"retention removes what is old and not needed": retention,
		"retention runs until it is told to end":       retentionRuns,
		"retention of nothing keeps for ever":          retentionForEver,
		"retention keeps the last hundred of a target": retentionKeepsHundred,
		"retention goes on past what is not finished":  retentionPassesOver,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, open))
		})
	}
}
