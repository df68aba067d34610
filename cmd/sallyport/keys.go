package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/hook"
	"sallyport/internal/manage"
	"sallyport/internal/preset"
)

// keySettings are what the keys commands need.
var keySettings = storeSettings

func newKeys(p process) *cobra.Command {
	keys := &cobra.Command{
		Use:   "keys",
		Short: "Create, list and revoke API keys on this host",
		Long: `Create, list and revoke API keys on this host, with no key but access to the database: the way
back in for who lost the admin key. Works beside a running serve, which acts on it within a second.

` + config.Help(keySettings...),
		GroupID: groupManage,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	config.AddFlags(keys.PersistentFlags(), keySettings...)
	keys.AddCommand(newKeysCreate(p), newKeysList(p), newKeysRevoke(p), newKeysRotateMaster(p), newKeysRotateData(p))
	for _, cmd := range keys.Commands() {
		if cmd.Long == "" { // which database it means is part of its help
			cmd.Long = cmd.Short + ".\n\n" + config.Help(keySettings...)
		}
	}
	return keys
}

// withManage runs f with the rules over an open database, as a platform admin.
func withManage(cmd *cobra.Command, p process, workspace string, f func(*manage.Service, hook.Principal) error) error {
	asCommand(cmd)
	_, s, err := openForCommand(cmd, p, false)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := mustBeCurrent(cmd.Context(), s); err != nil {
		return err
	}
	ws, err := s.Workspace(cmd.Context(), workspace)
	if err != nil {
		return err
	}
	who := hook.Principal{Role: hook.RoleAdmin, Platform: true, Workspace: ws.ID, WorkspaceCode: ws.Code}
	return f(manage.New(s, nil, rules{presets: preset.Builtin()}, nobody{}), who)
}

func newKeysCreate(p process) *cobra.Command {
	var name, role, workspace, expires string
	var platform bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create an API key and print it, this once",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lasts, err := hook.ParseDuration(expires)
			if err != nil {
				return usageError(fmt.Errorf("--expires: %w", err))
			}
			switch hook.Role(role) {
			case hook.RoleAdmin, hook.RoleOperator, hook.RolePublisher, hook.RoleViewer:
			default:
				return usageError(fmt.Errorf("--role: %q is not admin, operator, publisher or viewer", role))
			}
			return withManage(cmd, p, workspace, func(m *manage.Service, who hook.Principal) error {
				doc := map[string]any{"name": name, "role": role, "platform": platform}
				if lasts > 0 {
					doc["expiresAt"] = time.Now().Add(lasts).UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
				}
				body, err := json.Marshal(doc)
				if err != nil {
					return err
				}
				res, err := m.CreateAPIKey(cmd.Context(), who, body)
				if err != nil {
					return err
				}
				fmt.Fprintln(p.stdout, string(res.Key))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "Made on the host", "what the key is for")
	cmd.Flags().StringVar(&role, "role", string(hook.RoleAdmin), "admin, operator, publisher or viewer")
	cmd.Flags().StringVar(&workspace, "workspace", hook.DefaultWorkspace, "code or id of the workspace it belongs to")
	cmd.Flags().BoolVar(&platform, "platform", false, "a key for all workspaces")
	cmd.Flags().StringVar(&expires, "expires", "0", "how long it is valid, such as 30d; 0 is for ever")
	return cmd
}

func newKeysList(p process) *cobra.Command {
	var workspace string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List API keys",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withManage(cmd, p, workspace, func(m *manage.Service, who hook.Principal) error {
				w := tabwriter.NewWriter(p.stdout, 0, 4, 2, ' ', 0)
				fmt.Fprintln(w, "CODE\tROLE\tPLATFORM\tPREFIX\tLAST USED\tNAME")
				page := hook.Page{Limit: 500}
				for {
					list, more, err := m.ListAPIKeys(cmd.Context(), who, hook.ListFilter{}, page)
					if err != nil {
						return err
					}
					for _, k := range list {
						used := "never"
						if k.LastUsedAt != nil {
							used = k.LastUsedAt.Format(time.RFC3339)
						}
						fmt.Fprintf(w, "%s\t%s\t%v\t%s\t%s\t%s\n", k.Code, k.Role, k.Platform, k.Prefix, used, k.Name)
						page.After = k.ID
					}
					if !more {
						return w.Flush()
					}
				}
			})
		},
	}
	cmd.Flags().StringVar(&workspace, "workspace", hook.DefaultWorkspace, "code or id of the workspace")
	return cmd
}

func newKeysRevoke(p process) *cobra.Command {
	var workspace string
	cmd := &cobra.Command{
		Use:   "revoke CODE",
		Short: "Revoke an API key by its code or id",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(errors.New("name the key: sallyport keys revoke CODE; sallyport keys list shows the codes"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return withManage(cmd, p, workspace, func(m *manage.Service, who hook.Principal) error {
				return m.DeleteAPIKey(cmd.Context(), who, args[0], hook.Guard{})
			})
		},
	}
	cmd.Flags().StringVar(&workspace, "workspace", hook.DefaultWorkspace, "code or id of the workspace it belongs to")
	return cmd
}
