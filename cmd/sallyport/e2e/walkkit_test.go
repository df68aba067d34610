package e2e

import (
	"regexp"
	"strings"
)

// preamble is what somebody types before a walk, and the tools that callers have: mac is the
// HMAC-SHA256 of standard input under a key, in hex or, with b64, in base64; body prints the
// body of an answer and its status.
const preamble = `set -euo pipefail
api(){ curl -sS --fail-with-body -H "Authorization: Bearer $SALLYPORT_KEY" "$@"; }
mac(){ php -r 'echo hash_hmac("sha256", stream_get_contents(STDIN), $argv[1]);' "$1"; }
b64(){ php -r 'echo base64_encode(hex2bin($argv[1]));' "$1"; }
code(){ curl -sS -w '\n%{http_code}\n' "$@"; }
`

// typed runs commands as they are typed, with the key of the workspace's admin: $B is the
// installation, $D where the workspace's doors are. They must print what is shown, in which "…"
// stands for anything within a line. It returns what they printed.
func (w *world) typed(commands, shows string, environ ...string) string {
	w.t.Helper()
	environ, want := w.typing(shows, environ)
	said, exit := w.shell(w.t.TempDir(), preamble+commands, nil, environ...)
	if exit != 0 || !want.MatchString(said) {
		w.t.Fatalf("typed\n%s\nexit %d, and it shows\n%s\nwant\n%s", strings.TrimSpace(commands), exit, said, shows)
	}
	return said
}

// until types commands that only look until they print what is shown.
func (w *world) until(commands, shows string, environ ...string) {
	w.t.Helper()
	environ, want := w.typing(shows, environ)
	eventually(w.t, "typed\n"+commands+"\nto show\n"+shows, func() bool {
		said, exit := w.shell(w.t.TempDir(), preamble+commands, nil, environ...)
		return exit == 0 && want.MatchString(said)
	})
}

// typing is the environment of commands, and what must match what they print.
func (w *world) typing(shows string, environ []string) ([]string, *regexp.Regexp) {
	return append([]string{"SALLYPORT_KEY=" + w.admin.key, "B=" + w.url, "D=" + w.url + "/w/" + w.workspace}, environ...),
		regexp.MustCompile(`\A` + strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(shows)), "…", ".*") + `\n*\z`)
}
