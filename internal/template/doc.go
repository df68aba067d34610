// Package template evaluates Twig: the hashes of incoming webhooks, conditions and filters, payloads and
// the fields of actions.
//
// A source is read by a lexer and a parser that follow Twig 3.5 (its tokens, precedences, tags, filters,
// functions and tests), and becomes two things: expressions, which this package evaluates with PHP's
// rules of conversion and comparison, and a skeleton of text, branches and loops, which pongo2 executes
// (pongo.go). Nothing a user writes reaches pongo2's own lexer: the skeleton holds only our names,
// digits and tag delimiters.
//
// A template sees the values it is given and the clock it is given, and nothing else: no files, no
// environment, no methods of Go values. Everything it does is counted (limits.go), so a hostile template
// ends with an [Error] of [Limit]. A compiled [Template] may be rendered by any number of goroutines.
//
// The reference is Twig 3.5.1 on PHP 8.2 with autoescape and strict_variables off; testdata holds its
// answers, and what PHP makes of dates. On purpose it differs in two things: an integer of a JSON document
// that does not fit 64 bits keeps its digits when it is printed or encoded (PHP turns it into a float), so
// that identifiers survive; and relative hours, minutes and seconds are time that passes, also when clocks
// change (versions of PHP differ there). Of regular expressions recursion is missing, of PHP's hashes the rare ones
// (ripemd, whirlpool, tiger and the like); what else is known to differ stands in conformance_test.go.
package template
