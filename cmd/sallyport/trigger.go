package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newTrigger(p process) *cobra.Command {
	var flags remoteFlags
	var id, entityID, entity string
	cmd := &cobra.Command{
		Use:   "trigger TYPE",
		Short: "Publish an event: the catalogue's sample of a type, or what is given",
		Long: `Publishes an event of a type, with the sample that the catalogue has of it unless --entity says
otherwise, and shows which webhooks it goes to and which not, and why.

` + remoteHelp,
		Example: `  sallyport trigger order.paid
  sallyport trigger order.paid --entity-id 7 --entity '{"total":12}' --id ord-7-paid
  sallyport trigger order.paid --entity @order.json`,
		GroupID: groupTry,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(errors.New("name the event type: sallyport trigger order.paid"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := flags.open(p)
			if err != nil {
				return err
			}
			t := trigger{remote: r, eventType: args[0], id: id, entityID: entityID, entity: entity}
			return t.run(cmd, p)
		},
	}
	flags.add(cmd.Flags())
	cmd.Flags().StringVar(&id, "id", "", "id of the event: published again it is a duplicate")
	cmd.Flags().StringVar(&entityID, "entity-id", "", "id of the entity; digits are a number")
	cmd.Flags().StringVar(&entity, "entity", "", "JSON, or @file with it")
	return cmd
}

type trigger struct {
	remote                          *remote
	eventType, id, entityID, entity string
}

func (t *trigger) run(cmd *cobra.Command, p process) error {
	ctx := cmd.Context()
	entity, err := t.content()
	if err != nil {
		return usageError(err)
	}
	if entity == nil {
		var sample struct{ Sample json.RawMessage }
		_, err := t.remote.json(ctx, remoteRequest{method: http.MethodGet, path: "/v1/event-types/" + url.PathEscape(t.eventType)}, &sample)
		var problem *problemError
		switch {
		case err == nil && len(sample.Sample) > 0 && string(sample.Sample) != "null":
			entity = sample.Sample
		case err == nil || errors.As(err, &problem) && (problem.Status == http.StatusNotFound || problem.Status == http.StatusForbidden):
			fmt.Fprintf(p.stderr, "the catalogue has no sample of %s: it goes out without an entity\n", visible(t.eventType))
		default:
			return err
		}
	}
	body, err := json.Marshal(struct {
		Type     string          `json:"type"`
		ID       string          `json:"id,omitempty"`
		EntityID json.RawMessage `json:"entityId,omitempty"`
	}{t.eventType, t.id, entityIDOf(t.entityID)})
	if err != nil {
		return err
	}
	if entity != nil { // as it is: an encoder would compact it
		body = append(append(append(body[:len(body)-1], `,"entity":`...), entity...), '}')
	}
	var receipt struct {
		ID        string
		Matched   int
		Duplicate bool
	}
	if _, err := t.remote.json(ctx, remoteRequest{method: http.MethodPost, path: "/v1/events", body: body}, &receipt); err != nil {
		return err
	}
	again := ""
	if receipt.Duplicate {
		again = ", which was published before"
	}
	fmt.Fprintf(p.stdout, "published %s%s: %d deliveries\n", receipt.ID, again, receipt.Matched)
	return t.matches(cmd, p, receipt.ID)
}

// content is the entity that was given, nil for none.
func (t *trigger) content() (json.RawMessage, error) {
	text := []byte(t.entity)
	if file, ok := strings.CutPrefix(t.entity, "@"); ok {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("--entity: %w", err)
		}
	}
	switch {
	case t.entity == "":
		return nil, nil
	case !json.Valid(text):
		return nil, errors.New("--entity is not JSON")
	}
	return text, nil
}

// entityIDOf is a number if it can be one.
func entityIDOf(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	digits := strings.TrimPrefix(s, "-")
	if strings.Trim(digits, "0123456789") == "" && digits != "" && (digits == "0" || digits[0] != '0') && len(digits) <= 38 && s != "-0" {
		return json.RawMessage(s)
	}
	text, _ := json.Marshal(s) // a string can always be
	return text
}

// matches shows who gets the event. A key that may publish but not read is told so.
func (t *trigger) matches(cmd *cobra.Command, p process, id string) error {
	var list struct {
		Data []struct {
			Webhook        struct{ Code string }
			Matched        bool
			Reason, Detail string
			Delivery       *struct{ State string }
		}
	}
	_, err := t.remote.json(cmd.Context(), remoteRequest{method: http.MethodGet, path: "/v1/events/" + url.PathEscape(id) + "/matches"}, &list)
	var problem *problemError
	if errors.As(err, &problem) && problem.Status == http.StatusForbidden {
		fmt.Fprintln(p.stderr, "who gets it this key may not see")
		return nil
	}
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.stdout, 0, 4, 2, ' ', 0)
	for _, m := range list.Data {
		if m.Matched {
			state := ""
			if m.Delivery != nil {
				state = m.Delivery.State
			}
			fmt.Fprintf(w, "  %s\tyes\t%s\n", m.Webhook.Code, state)
			continue
		}
		fmt.Fprintf(w, "  %s\tno\t%s\n", m.Webhook.Code, visible(strings.Trim(m.Reason+": "+m.Detail, ": ")))
	}
	return w.Flush()
}
