package manage

import (
	"context"
	"fmt"

	"sallyport/internal/hook"
)

var roles = []string{string(hook.RoleAdmin), string(hook.RoleOperator), string(hook.RolePublisher), string(hook.RoleViewer)}

// CreateAPIKey makes a key, which is in the answer this once.
func (s *Service) CreateAPIKey(ctx context.Context, p hook.Principal, doc []byte) (hook.APIKeyResult, error) {
	return s.editAPIKey(ctx, p, s.scopeOf(p, doc), "", hook.Write{}, whole[*hook.APIKey](nil, "", doc))
}

// PutAPIKey creates or replaces a key. Its value may come from a vault; without one a
// new key is generated and an existing one is kept.
func (s *Service) PutAPIKey(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.APIKeyResult, error) {
	scope := s.scopeOf(p, doc)
	if hook.IsID(ref) {
		k, err := s.GetAPIKey(ctx, p, ref)
		if err != nil {
			return hook.APIKeyResult{}, err
		}
		scope = k.Workspace
	}
	return s.editAPIKey(ctx, p, scope, ref, w, whole[*hook.APIKey](hook.NotFound("API key", ref), ref, doc))
}

// PatchAPIKey changes parts of a key.
func (s *Service) PatchAPIKey(ctx context.Context, p hook.Principal, ref string, doc []byte, w hook.Write) (hook.APIKeyResult, error) {
	k, err := s.GetAPIKey(ctx, p, ref)
	if err != nil {
		return hook.APIKeyResult{}, err
	}
	return s.editAPIKey(ctx, p, k.Workspace, k.ID.String(), w, merged(hook.NotFound("API key", ref), func(cur *hook.APIKey) ([]byte, error) {
		return patched(keyDocument(cur), doc, "key", "role", "platform")
	}))
}

// keyDocument is what a PUT would have to say to change nothing. The key is left out,
// which keeps it.
func keyDocument(k *hook.APIKey) map[string]any {
	doc := map[string]any{"name": k.Name, "role": k.Role, "metadata": k.Metadata}
	if k.ExpiresAt != nil {
		doc["expiresAt"] = k.ExpiresAt
	}
	return doc
}

// scopeOf is where a key of this document belongs: the workspace, or the installation.
func (s *Service) scopeOf(p hook.Principal, doc []byte) hook.ID {
	if o, err := readDocument(doc); err == nil && o.flag("platform", false) {
		return hook.NoID
	}
	return p.Workspace
}

func (s *Service) editAPIKey(ctx context.Context, p hook.Principal, scope hook.ID, ref string, w hook.Write, document document[*hook.APIKey]) (hook.APIKeyResult, error) {
	if scope == hook.NoID && !p.Platform {
		return hook.APIKeyResult{}, hook.Errorf(hook.KindForbidden, "only a platform key can make or change platform keys")
	}
	fresh := NewKey() // outside: the decision may be asked for again
	var res hook.APIKeyResult
	var err error
	res.APIKey, err = s.store.EditAPIKey(ctx, scope, ref, w.DryRun, func(scene hook.APIKeyScene) (next *hook.APIKey, err error) {
		res.Key = ""
		next, res.Change, res.Changed, err = edit[*hook.APIKey]{
			guard: w.Guard, document: document, changes: keyChanges,
			read: func(doc []byte) (*hook.APIKey, error) {
				next, given, err := readAPIKey(doc, ref, scope, scene)
				if err != nil {
					return nil, err
				}
				switch cur := scene.Current; {
				case given != "":
					next.Hash, next.Prefix = HashKey(given), prefixOf(given)
				case cur != nil:
					next.Hash, next.Prefix = cur.Hash, cur.Prefix
				default:
					next.Hash, next.Prefix, res.Key = HashKey(fresh), prefixOf(fresh), fresh
				}
				return next, hashFree(scene, next.Hash)
			},
		}.decide(scene.Current)
		return next, err
	})
	if err != nil {
		return hook.APIKeyResult{}, err
	}
	if w.DryRun {
		res.Key = "" // it was not stored
	} else if res.Change != hook.Unchanged {
		s.pipeline.ConfigChanged(scope)
	}
	return res, nil
}

// hashFree reports an error if another key has this value.
func hashFree(scene hook.APIKeyScene, hash [32]byte) error {
	owner, err := scene.HashOwner(hash)
	if err != nil {
		return fmt.Errorf("looking for the key: %w", err)
	}
	if owner != hook.NoID && (scene.Current == nil || owner != scene.Current.ID) {
		return hook.Invalid([]hook.Fault{{Field: "key", Code: "invalid_format", Detail: "is the value of another API key"}})
	}
	return nil
}

func keyChanges(a, b *hook.APIKey) []string {
	return changes(
		same("name", a.Name == b.Name),
		same("role", a.Role == b.Role),
		same("key", a.Hash == b.Hash),
		same("expiresAt", a.ExpiresAt == b.ExpiresAt || a.ExpiresAt != nil && b.ExpiresAt != nil && a.ExpiresAt.Equal(*b.ExpiresAt)),
		same("metadata", sameMetadata(a.Metadata, b.Metadata)),
	)
}

func readAPIKey(doc []byte, ref string, scope hook.ID, scene hook.APIKeyScene) (*hook.APIKey, hook.Sensitive, error) {
	o, err := readDocument(doc)
	if err != nil {
		return nil, "", err
	}
	who := identify(o, ref, scene.Current)
	next := &hook.APIKey{
		Name: who.name, Platform: scope == hook.NoID, Role: hook.Role(o.oneOf("role", "", roles...)),
		ExpiresAt: o.instant("expiresAt"), Metadata: o.metadata(),
	}
	if !o.has("role") {
		o.fault("role", "required", "say which of admin, operator, publisher, viewer")
	}
	if o.flag("platform", next.Platform) != next.Platform {
		o.fault("platform", "invalid_format", "cannot be changed")
	}
	var given string
	if o.has("key") {
		if o.isNull("key") {
			o.fault("key", "empty_secret", "is null; leave it out to keep the key")
		} else if o.value("key", "a string", &given) {
			o.checkGivenKey(given)
		}
	}
	o.ignore("prefix", "lastUsedAt", "version", "createdAt", "updatedAt")
	o.done()
	if err := hook.Invalid(o.faults); err != nil {
		return nil, "", err
	}
	if err := who.settle(scene.Scene, "API key"); err != nil {
		return nil, "", err
	}
	next.Code = who.code
	if scene.Current != nil {
		next.LastUsedAt = scene.Current.LastUsedAt
	}
	return next, hook.Sensitive(given), nil
}

func (o *object) checkGivenKey(key string) {
	switch {
	case key == "":
		o.fault("key", "empty_secret", "is empty; is the variable that should hold it unset?")
	case len(key) < minKey:
		o.fault("key", "too_short", "has %d characters; at least %d are needed", len(key), minKey)
	case len(key) > maxKey:
		o.fault("key", "too_long", "has %d characters; at most %d are allowed", len(key), maxKey)
	case !validKey(key):
		o.fault("key", "invalid_format", "must be visible ASCII characters without spaces")
	case !LooksLikeKey(key):
		o.fault("key", "invalid_format", "begins with sp_ but is no key of ours; choose another beginning")
	}
}

// GetAPIKey returns a key of the workspace; platform keys see platform keys too.
func (s *Service) GetAPIKey(ctx context.Context, p hook.Principal, ref string) (*hook.APIKey, error) {
	k, err := s.store.APIKey(ctx, p.Workspace, ref)
	if p.Platform && hook.KindOf(err) == hook.KindNotFound {
		if k, err := s.store.APIKey(ctx, hook.NoID, ref); err == nil || hook.KindOf(err) != hook.KindNotFound {
			return k, err
		}
	}
	return k, err
}

// ListAPIKeys lists the workspace's keys, for platform keys those of the installation
// too, and reports whether more follow.
func (s *Service) ListAPIKeys(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []*hook.APIKey, more bool, err error) {
	scopes := []hook.ID{p.Workspace}
	if p.Platform {
		scopes = append(scopes, hook.NoID)
	}
	return s.store.APIKeys(ctx, scopes, f, page)
}

// DeleteAPIKey revokes a key.
func (s *Service) DeleteAPIKey(ctx context.Context, p hook.Principal, ref string, g hook.Guard) error {
	k, err := s.GetAPIKey(ctx, p, ref)
	if err != nil {
		return err
	}
	err = s.store.DeleteAPIKey(ctx, k.Workspace, k.ID.String(), func(k *hook.APIKey) error { return Guarded(g, k.Version) })
	if err != nil {
		return err
	}
	s.pipeline.ConfigChanged(k.Workspace)
	return nil
}
