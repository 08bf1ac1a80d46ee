package ctl

import (
	"github.com/spf13/cobra"

	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/id"
)

const confirmTransferHelp = `Confirm a transfer that another person proposed: the account that holds the line loses
it and the account it was proposed for gets it. When that account does not exist yet, or the line was taken
from its account before, the call that was refused is sent again.`

// mostTransfers is how many transfers are listed; of the others the number is shown.
const mostTransfers = 100

func (c Console) transfers() *cobra.Command {
	cmd := &cobra.Command{Use: "transfers", Short: "List and confirm transfers of lines that another account holds"}
	list := &cobra.Command{
		Use: "list", Short: "List the transfers that wait for a second person",
		Example: "  phonebillctl users transfers list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				waiting, total, err := a.Users.ListTransfers(cmd.Context(), by, 1, mostTransfers)
				if err != nil || len(waiting) == 0 {
					return c.said(err, "no transfer waits\n")
				}
				for _, t := range waiting {
					err = c.said(err, "%s  %s to %s, proposed by %s (%s), until %s\n",
						t.ID, t.Line, receiver(c.lang, t), t.ProposedBy, t.Reason, stamp(t.ExpiresAt))
				}
				if more := total - len(waiting); more > 0 {
					err = c.said(err, "%d more wait\n", more)
				}
				return err
			})
		},
	}
	var why string
	confirm := reason(&cobra.Command{
		Use: "confirm TRANSFER_ID", Short: "Confirm a transfer that another person proposed",
		Long:    confirmTransferHelp,
		Example: `  phonebillctl users transfers confirm 01940c2e-8a54-7d3c-b1a0-5f0f6f1f2a3b --reason "papers checked"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			tid, err := id.Parse(args[0])
			if err != nil {
				return failf("TRANSFER_ID is no transfer's number: %w", err)
			}
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				t, err := a.Users.ConfirmTransfer(cmd.Context(), by, tid, why)
				return c.said(err, "%s is no longer held by another account; it goes to %s\n", t.Line, receiver(c.lang, t))
			})
		},
	}, &why)
	cmd.AddCommand(list, confirm)
	return cmd
}

// receiver is the account that shall have the line; one that was taken may go to any.
func receiver(l lang, t auth.LineTransfer) string {
	if t.Took() {
		return l.text("any account (it was taken from one)")
	}
	return string(t.To)
}
