package action

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/hook"
)

// maxArgs bounds the arguments of an action.
const maxArgs = 100

// pipeDelay is how long output is still read once a command has ended or was killed: what it
// left behind may hold the pipe.
const pipeDelay = time.Second

// runCommand runs a command that the operator declared.
type runCommand struct {
	command string
	args    []*text
	stdin   *text // nil: the request's raw body
}

func newRunCommand(o *settings) runner {
	name := o.literal("command")
	r := &runCommand{command: name}
	switch {
	case name == "":
		o.b.fault(o.field("command"), "required", "name a command that the operator declared")
	case !hook.IsCode(name):
		o.b.fault(o.field("command"), "invalid_format", "must be the name of a declared command: 1 to 64 of A-Z a-z 0-9 _ -")
	}
	list := o.list("args")
	if len(list) > maxArgs {
		o.b.fault(o.field("args"), "too_long", "a command has at most "+strconv.Itoa(maxArgs)+" arguments")
	}
	for i, raw := range list {
		if t := o.textOf(element(o.field("args"), i), raw); t != nil {
			r.args = append(r.args, t)
		}
	}
	r.stdin = o.text("stdin")
	return r
}

func (r *runCommand) run(ctx context.Context, c *call, a *hook.Attempt) {
	if c.x.cfg.Commands == nil {
		fail(a, hook.ClassInternal, true, "commands are off; whoever runs this installation declares them in a file that %s names", SettingCommands)
		return
	}
	command := c.x.cfg.Commands.byName[r.command]
	if command == nil {
		fail(a, hook.ClassInternal, true, "the command %s is not declared in the file that %s names", r.command, SettingCommands)
		return
	}
	args, stdin, err := r.render(ctx, c, command)
	if err != nil {
		c.x.failed(ctx, a, err)
		return
	}
	c.asked(a, "command:"+r.command, new(object).text("command", r.command).value("args", args).value("stdinBytes", len(stdin)))
	// Waiting for others costs none of the time that the command has.
	select {
	case command.slots <- struct{}{}:
	case <-c.outer.Done():
		c.x.ended(c.outer, a)
		return
	}
	defer func() { <-command.slots }()
	timeout := c.place.timeout
	if command.timeout > 0 {
		timeout = min(timeout, command.timeout)
	}
	ctx, cancel := context.WithTimeoutCause(c.outer, timeout, errTimeout)
	defer cancel()
	c.execute(ctx, a, command, args, stdin)
}

// render makes the arguments, and what the command reads.
func (r *runCommand) render(ctx context.Context, c *call, command *command) (args []string, stdin string, err error) {
	args = []string{}
	for _, t := range r.args {
		s, err := t.render(c)
		if err != nil {
			return nil, "", err
		}
		switch {
		case strings.IndexByte(s, 0) >= 0:
			return nil, "", bad(t.field, "an argument cannot hold a zero byte")
		case command.pattern == nil && t.template != nil && strings.HasPrefix(s, "-") && !strings.HasPrefix(t.source, "-"):
			// Whoever sends the request must not choose options of a command.
			return nil, "", bad(t.field, "%q could be taken for an option of %s; write the dash before the template, or have the operator allow such arguments by a pattern",
				shortened(s), command.name)
		case command.pattern != nil && !command.pattern.MatchString(s):
			return nil, "", bad(t.field, "%q is not what the operator allows for %s", shortened(s), command.name)
		}
		args = append(args, s)
	}
	if len(args) > command.mayArgs {
		return nil, "", bad("config.args", "the operator allows %d arguments for %s, not %d", command.mayArgs, command.name, len(args))
	}
	if r.stdin != nil {
		stdin, err = r.stdin.render(c)
		return args, stdin, err
	}
	if err := c.scene.findRequest(ctx); err != nil {
		return nil, "", err
	}
	if c.scene.request != nil {
		return args, string(c.scene.request.Body.Bytes), nil
	}
	return args, string(c.scene.event.Entity), nil
}

// execute runs the command and kills it, and what it started, when ctx ends.
func (c *call) execute(ctx context.Context, a *hook.Attempt, command *command, args []string, stdin string) {
	slack := 0 // a secret that crosses the end of what is kept must be found, too
	if len(c.hidden) > 0 {
		slack = len(c.hidden[0])
	}
	out := &output{most: command.maxOutput + slack, sum: sha256.New()}
	cmd := exec.CommandContext(ctx, command.path, append(command.args[:len(command.args):len(command.args)], args...)...)
	cmd.Dir, cmd.Env = command.directory, command.environment(c.facts())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), out, out
	cmd.WaitDelay = pipeDelay
	inOwnGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd) }
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // something in the background goes on
		killGroup(cmd) //nolint:errcheck // it may have ended just now
		err = nil
	}
	if cmd.ProcessState == nil {
		if ctx.Err() != nil {
			c.x.ended(ctx, a)
			return
		}
		c.x.cfg.Log.ErrorContext(ctx, "action.command", "command", command.name, "error", err)
		fail(a, hook.ClassInternal, false, "the command %s could not be started; the log of this time says why", command.name)
		return
	}
	a.Response = &hook.ReceivedResponse{Status: cmd.ProcessState.ExitCode(), Headers: []hook.HeaderField{}, Body: out.body(c, command.maxOutput)}
	switch {
	case ctx.Err() != nil && !cmd.ProcessState.Success():
		c.x.ended(ctx, a)
	case cmd.ProcessState.Success():
		a.Outcome = hook.OutcomeSucceeded
	case cmd.ProcessState.ExitCode() < 0:
		fail(a, hook.ClassStatus, false, "the command %s ended by itself: %s", command.name, cmd.ProcessState)
	default:
		fail(a, hook.ClassStatus, false, "the command %s ended with exit code %d", command.name, cmd.ProcessState.ExitCode())
	}
}

// facts are what a command is told in its environment.
func (c *call) facts() []string {
	s := c.scene
	facts := []string{
		"SALLYPORT_DELIVERY_ID=" + s.job.Delivery.ID.String(), "SALLYPORT_ATTEMPT=" + strconv.Itoa(s.number),
		"SALLYPORT_EVENT_ID=" + s.event.ID, "SALLYPORT_EVENT_TYPE=" + s.event.Type, "SALLYPORT_WORKSPACE_ID=" + s.workspace.String(),
	}
	if c.place.code != "" {
		facts = append(facts, "SALLYPORT_ACTION="+c.place.code)
	}
	if id := s.event.InboundRequest(); id != hook.NoID {
		facts = append(facts, "SALLYPORT_REQUEST_ID="+id.String())
	}
	return facts
}

// output keeps the beginning of what a command writes, and counts the rest.
type output struct {
	most int
	kept []byte
	size int64
	sum  hash.Hash
}

func (o *output) Write(p []byte) (int, error) {
	o.size += int64(len(p))
	o.sum.Write(p)
	o.kept = append(o.kept, p[:min(len(p), o.most-len(o.kept))]...)
	return len(p), nil
}

func (o *output) body(c *call, keep int) hook.Body {
	b := c.kept(o.kept, keep)
	if b.Truncated || o.size > int64(len(o.kept)) {
		b.Truncated, b.Size, b.SHA256 = true, o.size, o.sum.Sum(nil)
	}
	return b
}
