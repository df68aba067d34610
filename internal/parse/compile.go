package parse

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"sallyport/internal/hook"
)

// maxExpression bounds items: expressions are read by recursion.
const maxExpression = 4096

// Parser is a checked configuration. It is safe for concurrent use and never changes.
type Parser struct {
	conf      hook.Parser // defaults filled in
	encoding  *charset    // nil: not configured
	delimiter string      // "": found out
	enclosure string      // "": none
	escape    string      // "": none
	query     *query      // items as JMESPath
	path      *path       // items as XPath
	lists     map[string]bool
}

// Conf is the configuration, with its defaults filled in.
func (p *Parser) Conf() hook.Parser { return p.conf }

// Compile checks a configuration and says everything that is wrong with it; the fields of
// the faults are relative to the parser. Parser is nil when there are any.
func Compile(conf hook.Parser) (*Parser, []hook.Fault) {
	if conf.Type == "" {
		conf.Type = hook.ParserAuto
	}
	if conf.MaxItems == 0 {
		conf.MaxItems = hook.DefaultMaxItems
	}
	if conf.OnItemError == "" {
		conf.OnItemError = hook.OnItemErrorRefuse
	}
	c := compiler{p: &Parser{conf: conf}}
	c.types()
	c.csv()
	c.items()
	if conf.Encoding != "" {
		if known, ok := charsetOf(conf.Encoding); ok {
			c.p.encoding = &known
		} else {
			c.fault("encoding", "invalid_format", "no encoding is called %q; write utf-8, windows-1252, iso-8859-15 or another WHATWG or IANA name", clip(conf.Encoding))
		}
		if conf.Type == hook.ParserBinary {
			c.fault("encoding", "invalid_format", "bytes have no encoding; leave it out, or use type text")
		}
	}
	if conf.MaxItems < 1 || conf.MaxItems > hook.MaxMaxItems {
		c.fault("maxItems", "out_of_range", "%d is not between 1 and %d", conf.MaxItems, hook.MaxMaxItems)
	}
	if conf.OnItemError != hook.OnItemErrorRefuse && conf.OnItemError != hook.OnItemErrorSkip {
		c.fault("onItemError", "invalid_format", "%q is neither refuse nor skip", clip(conf.OnItemError))
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	return c.p, nil
}

type compiler struct {
	p      *Parser
	faults []hook.Fault
}

func (c *compiler) fault(field, code, format string, args ...any) {
	c.faults = append(c.faults, hook.Fault{Field: field, Code: code, Detail: fmt.Sprintf(format, args...)})
}

func (c *compiler) types() {
	if slices.Contains(hook.ParserTypes, c.p.conf.Type) {
		return
	}
	c.fault("type", "invalid_format", "there is no parser %q; use one of %s", clip(c.p.conf.Type), strings.Join(hook.ParserTypes, " "))
}

// csv checks what only CSV has.
func (c *compiler) csv() {
	conf, p := &c.p.conf, c.p
	p.delimiter = conf.Delimiter
	if p.delimiter == `\t` || strings.EqualFold(p.delimiter, "tab") {
		p.delimiter = "\t"
	}
	switch conf.Enclosure {
	case "":
		p.enclosure = `"`
	case "none":
	default:
		p.enclosure = conf.Enclosure
	}
	p.escape = conf.Escape
	if conf.Type != hook.ParserAuto && conf.Type != hook.ParserCSV {
		for field, set := range map[string]bool{
			"delimiter": conf.Delimiter != "", "enclosure": conf.Enclosure != "", "escape": conf.Escape != "", "columns": len(conf.Columns) > 0,
		} {
			if set {
				c.fault(field, "invalid_format", "only CSV has it; leave it out, or use type csv")
			}
		}
		slices.SortFunc(c.faults, func(a, b hook.Fault) int { return strings.Compare(a.Field, b.Field) })
		return
	}
	c.character("delimiter", p.delimiter)
	c.character("enclosure", p.enclosure)
	c.character("escape", p.escape)
	if p.delimiter != "" && p.delimiter == p.enclosure {
		c.fault("enclosure", "invalid_format", "the delimiter cannot enclose, too")
	}
	if p.escape != "" && p.escape == p.delimiter {
		c.fault("escape", "invalid_format", "the delimiter cannot escape, too")
	}
	if p.escape == p.enclosure {
		p.escape = "" // doubling, which is always understood
	}
	seen := make(map[string]bool)
	for i, name := range conf.Columns {
		field := fmt.Sprintf("columns[%d]", i)
		switch {
		case strings.TrimSpace(name) == "":
			c.fault(field, "required", "a column needs a name")
		case seen[name]:
			c.fault(field, "invalid_format", "there is a column %q already", clip(name))
		}
		seen[name] = true
	}
	if len(conf.Columns) > maxColumns {
		c.fault("columns", "too_long", "%d columns are more than %d", len(conf.Columns), maxColumns)
	}
}

func (c *compiler) character(field, s string) {
	if s == "" {
		return
	}
	r, n := utf8.DecodeRuneInString(s)
	if n != len(s) || r == utf8.RuneError || r == '\n' || r == '\r' {
		c.fault(field, "invalid_format", "%q is not one character within a line", clip(s))
	}
}

// items compiles the expression.
func (c *compiler) items() {
	conf := &c.p.conf
	if conf.Items == "" {
		return
	}
	if conf.Type == hook.ParserText || conf.Type == hook.ParserBinary {
		c.fault("items", "invalid_format", "a body of type %s has no items to select; leave it out", conf.Type)
		return
	}
	if len(conf.Items) > maxExpression {
		c.fault("items", "too_long", "an expression may have %d bytes", maxExpression)
		return
	}
	var err error
	switch {
	case !strings.HasPrefix(conf.Items, "/"):
		c.p.query, err = compileQuery(conf.Items)
		c.p.lists = listNames(conf.Items)
	case conf.Type == hook.ParserXML:
		c.p.path, err = compilePath(conf.Items)
	case conf.Type == hook.ParserAuto:
		c.fault("items", "invalid_format", "XPath (it begins with /) selects from XML only; set type to xml, or write JMESPath such as rows[*]")
	default:
		c.fault("items", "invalid_format", "XPath (it begins with /) selects from XML only; write JMESPath such as rows[*]")
	}
	if err != nil {
		c.fault("items", "invalid_format", "%s", err)
	}
}
