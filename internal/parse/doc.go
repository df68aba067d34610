// Package parse turns the body of an inbound request into the value that templates see as
// request.body and into items, the JSON text of one event's entity each. It is a pure leaf
// library: of ours it imports internal/hook only, nothing is read but the arguments, and
// any room may import it.
//
// # What becomes what
//
//	query      {"temp":"81"} of the query, without the parameter that carries the hash
//	form       the same of the body. Values are strings, a name that is repeated has a list of
//	           them, order stays. Names are literal: a[b] is the key "a[b]", not an object
//	multipart  the same; a file is {"filename", "contentType", "size", "base64"}
//	json       as it was sent: numbers, escapes, blanks, order and repetition of keys stay
//	csv        a list of {"sku":"A-1","qty":"3"}, a string for each column
//	xml        {"root": …}, see below
//	text       a string
//	binary     {"contentType", "size", "base64"}
//
// Auto goes by the content type. A request without a body is a query; a content type that is
// none of the above is binary; without a content type JSON is JSON, other UTF-8 is text,
// the rest binary. A form that is a JSON document is JSON: that is what curl -d sends.
//
// One item is made of each row of a CSV, of each element of the list that items selects, and
// of each element of a JSON body that is a list; of other bodies, or without split, one of
// the whole. An items expression that selects nothing makes no item.
//
// # JMESPath
//
// What an expression selects keeps its bytes. What it computes (multi-selects, functions)
// is new JSON, in which keys of multi-selects are sorted, selected objects and lists still
// have their bytes, and selected numbers their digits. Objects are walked in the order they
// were sent in.
//
// # CSV
//
// Rows end with CR, LF or CRLF; empty lines count for nothing. An enclosure within an enclosed field is
// doubled, or follows the escape character, which then goes, as does the first of two of
// them; elsewhere an escape character is a character. Blanks around an enclosed field go,
// others stay. An enclosure inside a field that does not begin with one is a character.
// Delimiters at the end of a row beyond the last column are tolerated, other rows that have
// more or fewer fields than there are columns are faults. Column names are trimmed; one
// without a name is called column_3 by its position, a second "sku" is called sku_2. A first
// line sep=; sets the delimiter. A Ctrl-Z at the very end, as of DOS, counts for nothing.
//
// # XML
//
// An element that has only text is a string, an empty one "". Others are objects: attributes
// are "@id", children go by their names, prefixes included, in the order of their first
// appearance, those that appear twice are lists, and text beside them is "#text". Names that
// items (JMESPath) follows with a bracket, such as order in orders.order[*], are lists even
// where there is one of them. Comments, processing instructions, namespace declarations and
// blanks between elements go. Nothing is loaded from anywhere, entities cannot be declared.
package parse
