package template

// expr is an expression that can be evaluated in a rendering.
type expr interface{ eval(r *run) any }

type (
	constExpr struct{ value any }
	nameExpr  struct {
		key Key
		pos int
	}
	arrayExpr  struct{ items []arrayItem }
	arrayItem  struct{ key, value expr } // key nil: the next number
	concatExpr struct{ parts []expr }
	binaryExpr struct {
		op          func(r *run, a, b any) any
		left, right expr
		pos         int
	}
	unaryExpr struct {
		op      func(r *run, v any) any
		operand expr
		pos     int
	}
	logicExpr struct {
		or          bool
		left, right expr
	}
	condExpr     struct{ test, yes, no expr }
	elvisExpr    struct{ value, no expr }
	coalesceExpr struct{ value, no expr }
	// attrExpr is a.b, a[b] and a.b(c).
	attrExpr struct {
		object, key expr
		args        []expr
		method      bool // called with brackets
		subscript   bool // written with []
		pos         int
	}
	// callExpr is a filter, function or test with its arguments in positions; nil stands for one left out.
	callExpr struct {
		def  *builtin
		args []expr
		pos  int
	}
	definedExpr struct{ value expr }
	arrowExpr   struct {
		params []Key
		body   expr
	}
	macroExpr struct {
		name string
		args []expr
		pos  int
	}
	blockExpr struct {
		name   expr
		others expr // block(name, template): always another template
		pos    int
	}
	// foreignExpr asks for another template, of which there are none.
	foreignExpr struct {
		name expr
		// ignoreMissing is true where a template that does not exist is no fault.
		ignoreMissing bool
		pos           int
	}
)

// stmt is a statement of a template's body; lower (pongo.go) turns it into the skeleton.
type stmt interface{}

type (
	textStmt struct{ text string }
	// leafStmt does one thing and contains no other statements.
	leafStmt struct{ do func(r *run) }
	ifStmt   struct {
		branches []ifBranch
		other    []stmt
	}
	ifBranch struct {
		test expr
		body []stmt
	}
	forStmt struct {
		key, value Key
		seq        expr
		body       []stmt
		other      []stmt
		hasElse    bool
		withLoop   bool
		pos        int
	}
	// wrapStmt runs something before and after its body: captures, with.
	wrapStmt struct {
		before, after func(r *run)
		body          []stmt
	}
)

type macro struct {
	params   []Key
	defaults []expr
	body     []stmt
	program  *program
}

type block struct {
	body    []stmt
	program *program
}
