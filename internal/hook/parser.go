package hook

// Parser says how a request's body becomes items.
type Parser struct {
	Type        string   // auto, query, json, form, multipart, csv, xml, text, binary; "" is auto
	Delimiter   string   // csv, one character; "" is a comma
	Enclosure   string   // csv, one character; "" is a double quote
	Escape      string   // csv, one character; "" is none
	Header      bool     // csv: the first row names the columns
	Columns     []string // csv: names of the columns
	Encoding    string   // csv, xml, text: of the characters; "" is what the request says, else UTF-8
	Items       string   // JMESPath to the items; for XML also XPath, which begins with a slash
	Split       bool     // an item each, else the whole is one
	MaxItems    int
	OnItemError string // refuse, skip
}

// DefaultParser is what a door has that names none.
func DefaultParser() Parser {
	return Parser{Type: "auto", Header: true, Split: true, MaxItems: 10_000, OnItemError: OnItemErrorRefuse}
}

// What becomes of a request of which an item cannot be read.
const (
	OnItemErrorRefuse = "refuse"
	OnItemErrorSkip   = "skip"
)
