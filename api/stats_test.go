package api_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"sallyport/internal/hook"
)

func TestStatsAsTheyAreShown(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var got struct {
		Pending, Held, Running, Failed int
		AcceptedPerSecond              float64
		OldestPendingAgeMs             float64
		Requests                       struct{ RefusedPerSecond float64 }
		TopTargets                     []struct {
			Pending, Held      int
			State, StateReason string
			OldestPendingAgeMs *float64
		}
	}
	if err := json.Unmarshal([]byte(s.do(t, "viewer", "GET", "/v1/stats", "").body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Pending != 7 || got.Held != 2 || got.Running != 5 || got.Failed != 3 || got.AcceptedPerSecond != 0.333 || got.Requests.RefusedPerSecond != 2 {
		t.Errorf("%+v", got)
	}
	if age := got.OldestPendingAgeMs; age < 60_000 || age > 90_000 {
		t.Errorf("the oldest is %v ms old", age)
	}
	if len(got.TopTargets) != 2 || got.TopTargets[0].Pending != 4 || got.TopTargets[0].Held != 0 || got.TopTargets[1].Held != 4 || got.TopTargets[1].Pending != 0 ||
		got.TopTargets[1].State != "paused" || got.TopTargets[0].StateReason != "queued" || got.TopTargets[0].OldestPendingAgeMs != nil {
		t.Errorf("%+v", got.TopTargets)
	}
}

func TestWorkspacesAreSorted(t *testing.T) {
	t.Parallel()
	s := setup(t)
	list := func(query string, status int) []byte {
		t.Helper()
		a := s.do(t, "platform-viewer", "GET", "/v1/workspaces?"+query, "")
		if a.StatusCode != status {
			t.Errorf("%s: %d: %s", query, a.StatusCode, a.body)
		}
		return []byte(a.body)
	}
	for query, want := range map[string]struct {
		method string
		sort   hook.WorkspaceSort
		asc    bool
	}{
		"sort=-pending":         {"Ranked", hook.SortPending, false},
		"sort=pending":          {"Ranked", hook.SortPending, true},
		"sort=oldestPendingAge": {"Ranked", hook.SortOldestPending, true},
		"sort=-code":            {"ListWorkspaces", hook.SortCode, false},
		"sort=code":             {"ListWorkspaces", hook.SortCode, true},
		"sort=createdAt":        {"ListWorkspaces", hook.SortCreated, true},
		"sort=-createdAt":       {"ListWorkspaces", hook.SortCreated, false},
		"order=asc":             {"ListWorkspaces", hook.SortCreated, true},
		"":                      {"ListWorkspaces", hook.SortCreated, false},
	} {
		list(query, http.StatusOK)
		if a := s.last(t, want.method); a.spaces.Sort != want.sort || a.page.Asc != want.asc {
			t.Errorf("%s: %+v", query, a)
		}
	}
	for _, query := range []string{"sort=name", "sort=-pending&order=asc", "include=everything", "sort=-pending&cursor=AZqfPo0RfwqaLF6bfA0fKnR9oyk"} {
		list(query, http.StatusBadRequest)
	}

	s.more = true
	var page struct {
		Data       []struct{ Stats *struct{ Pending int } }
		NextCursor *string
	}
	read := func(query string) {
		t.Helper()
		page.Data, page.NextCursor = nil, nil
		if err := json.Unmarshal(list(query, http.StatusOK), &page); err != nil {
			t.Fatal(err)
		}
	}
	if read("sort=code"); page.NextCursor == nil || page.Data[0].Stats != nil {
		t.Fatalf("%+v", page)
	}
	if list("sort=code&cursor="+*page.NextCursor, http.StatusOK); s.last(t, "ListWorkspaces").spaces.AfterCode != s.workspace.Code {
		t.Errorf("the next page begins after %q", s.last(t, "ListWorkspaces").spaces.AfterCode)
	}
	list("sort=-code&cursor="+*page.NextCursor, http.StatusBadRequest)
	if read("sort=-pending&include=stats"); page.NextCursor != nil || page.Data[0].Stats == nil || page.Data[0].Stats.Pending != 7 {
		t.Errorf("%+v", page)
	}
}
