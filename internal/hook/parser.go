package hook

// Parser says how a request's body becomes items, one event each.
type Parser struct {
	Type        string   // one of ParserTypes; "" is auto
	Delimiter   string   // csv, one character, "\t" for a tab; "" is found out from the first row
	Enclosure   string   // csv, one character, "none" for none; "" is a double quote
	Escape      string   // csv, one character that takes the meaning of an enclosure after it; "" is none
	Header      bool     // csv: the first row names the columns
	Columns     []string // csv: names of the columns, before those of the header row
	Encoding    string   // of the characters, WHATWG or IANA name; "" is what the request says, else UTF-8
	Items       string   // JMESPath to the items; for XML also XPath, which begins with a slash
	Split       bool     // an item each, else the whole is one
	MaxItems    int      // more are refused; 0 is DefaultMaxItems
	OnItemError string   // refuse, skip; "" is refuse
}

// Types of parsers. Auto goes by the content type.
const (
	ParserAuto      = "auto"
	ParserQuery     = "query"
	ParserJSON      = "json"
	ParserForm      = "form"
	ParserMultipart = "multipart"
	ParserCSV       = "csv"
	ParserXML       = "xml"
	ParserText      = "text"
	ParserBinary    = "binary"
)

// ParserTypes lists the types in the order of the contract.
var ParserTypes = []string{
	ParserAuto, ParserQuery, ParserJSON, ParserForm, ParserMultipart, ParserCSV, ParserXML, ParserText, ParserBinary,
}

// Bounds of Parser.MaxItems.
const (
	DefaultMaxItems = 10_000
	MaxMaxItems     = 1_000_000
)

// DefaultParser is what a door has that names none.
func DefaultParser() Parser {
	return Parser{Type: ParserAuto, Header: true, Split: true, MaxItems: DefaultMaxItems, OnItemError: OnItemErrorRefuse}
}

// What becomes of a request of which an item cannot be read.
const (
	OnItemErrorRefuse = "refuse"
	OnItemErrorSkip   = "skip"
)
