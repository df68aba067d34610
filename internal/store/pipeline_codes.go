package store

import "sallyport/internal/hook"

// Small numbers that stand for words in the pipeline's tables. Numbers are never
// reused or reordered: rows outlive releases.
var (
	stateCodes = newCodes(hook.StateRunning, hook.StatePending, hook.StateSucceeded, hook.StateFailed, hook.StateSkipped)

	reasonCodes = newCodes(hook.ReasonNone, hook.ReasonAttemptsExhausted, hook.ReasonPermanentError, hook.ReasonGone,
		hook.ReasonWorkerCrashed, hook.ReasonByOperator, hook.ReasonWebhookDeleted, hook.ReasonConditionFalse, hook.ReasonConditionError,
		hook.ReasonActionDeleted)

	outcomeCodes = newCodes(hook.OutcomeSucceeded, hook.OutcomeFailed, hook.OutcomeAborted, hook.OutcomeSuperseded)

	classCodes = newCodes(hook.ClassNone, hook.ClassDNS, hook.ClassConnect, hook.ClassTimeout, hook.ClassTLS, hook.ClassReset,
		hook.ClassProtocol, hook.ClassStatus, hook.ClassRedirect, hook.ClassEgress, hook.ClassTooLarge, hook.ClassTemplate,
		hook.ClassAborted, hook.ClassInternal)

	triggerCodes = newCodes(hook.TriggerFirst, hook.TriggerRetry, hook.TriggerManual, hook.TriggerReplay, hook.TriggerTest)

	sourceCodes = newCodes(hook.SourceAPI, hook.SourceIncoming, hook.SourceAction, hook.SourceRecord, hook.SourceSystem)

	targetKindCodes = newCodes(hook.TargetWebhook, hook.TargetAction, hook.TargetIncoming, hook.TargetAlert)

	verdictCodes = newCodes(hook.VerdictAccepted, hook.VerdictDuplicate, hook.VerdictHandshake, hook.VerdictRefused)
)

// codes numbers a list of words from 0.
type codes[T ~string] struct {
	number map[T]int16
	word   []T
}

func newCodes[T ~string](words ...T) codes[T] {
	c := codes[T]{number: make(map[T]int16, len(words)), word: words}
	for i, w := range words {
		c.number[w] = int16(i)
	}
	return c
}

// of returns the number of a word; a word without one is a programming error.
func (c codes[T]) of(w T) int16 {
	n, ok := c.number[w]
	if !ok {
		panic("store: no number for " + string(w))
	}
	return n
}

// from returns the word of a number, "" if this binary does not know it.
func (c codes[T]) from(n int16) T {
	if n < 0 || int(n) >= len(c.word) {
		return ""
	}
	return c.word[n]
}
