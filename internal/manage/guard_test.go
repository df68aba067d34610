package manage_test

import (
	"strings"
	"testing"

	"sallyport/internal/hook"
	"sallyport/internal/manage"
)

func TestGuardsSayWhatIsWrongWithATag(t *testing.T) {
	t.Parallel()
	for tags, says := range map[string]string{
		`3`: "with its quotes", `W/"3"`: "without W/", `"2", W/"3"`: "without W/", `"2"`: "", `4`: "", `W/"4"`: "",
	} {
		err := manage.Guarded(hook.Guard{IfMatch: tags}, 3)
		if hook.KindOf(err) != hook.KindPrecondition || !strings.Contains(err.Error(), says) || says == "" && !strings.HasSuffix(err.Error(), `the version is "3"`) {
			t.Errorf("%s: %v", tags, err)
		}
	}
	for _, tags := range []string{`"3"`, `"1", "3"`, `*`} {
		if err := manage.Guarded(hook.Guard{IfMatch: tags}, 3); err != nil {
			t.Errorf("%s: %v", tags, err)
		}
	}
}
