package template

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrorKind says at what stage a template was refused.
type ErrorKind string

const (
	// Syntax: the source cannot be compiled.
	Syntax ErrorKind = "syntax"
	// Runtime: the source compiled, but this rendering failed.
	Runtime ErrorKind = "runtime"
	// Limit: the source or its rendering is larger or slower than allowed.
	Limit ErrorKind = "limit"
)

// Error is the only error of this package. Line and Column count from 1 (columns in characters) and
// name the place in the source; both are 0 when there is none to name.
type Error struct {
	Kind    ErrorKind
	Message string
	Line    int
	Column  int
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("%s (line %d, column %d)", e.Message, e.Line, e.Column)
}

// failure carries an error up through the evaluator as a panic, as text/template does; Compile and
// Render turn it into an *Error. A negative pos stands for "where the evaluation is".
type failure struct {
	kind    ErrorKind
	message string
	pos     int
}

func syntaxError(pos int, format string, args ...any) failure {
	return failure{kind: Syntax, message: fmt.Sprintf(format, args...), pos: pos}
}

// fail ends the rendering with a runtime error at the place that is being evaluated.
func fail(format string, args ...any) {
	panic(failure{kind: Runtime, message: fmt.Sprintf(format, args...), pos: -1})
}

func (f failure) at(source string) *Error {
	e := &Error{Kind: f.kind, Message: f.message}
	if f.pos >= 0 && f.pos <= len(source) {
		before := source[:f.pos]
		e.Line = 1 + strings.Count(before, "\n")
		e.Column = 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	}
	return e
}
