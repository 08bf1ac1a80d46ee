package ctl

import (
	"path/filepath"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/spf13/cobra"

	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/cmd/internal/devstack"
	"phonebill/core/auth/admin"
)

func (c Console) keys() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "List, rotate and retire the keys that sign access tokens"}
	list := &cobra.Command{
		Use: "list", Short: "List the signing keys, newest first",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, _ admin.Caller) error {
				held, err := a.Users.Keys.List(cmd.Context())
				if err != nil {
					return err
				}
				p := c.printer()
				p.head("KID", "STATE", "CREATED", "SIGNS FROM", "RETIRED")
				for _, k := range held {
					p.line(k.KeyID, string(k.State), stamp(k.CreatedAt), stamp(k.ActiveAt), stamp(k.RetiredAt))
				}
				return p.done()
			})
		},
	}
	cmd.AddCommand(list, c.rotateKey(), c.retireKey())
	return cmd
}

const rotateKeyHelp = `Make the next signing key. It is published at once and signs after a lead, so that every
verifier knows it first; tokens of the key before stay good until they end. The service does the same by
itself every 30 days.

With --now a new key signs at once and ALL others are refused everywhere within a second: for a key that
somebody else may know. Users notice nothing but a refresh.`

func (c Console) rotateKey() *cobra.Command {
	var why string
	var now bool
	cmd := &cobra.Command{
		Use: "rotate", Short: "Make the next signing key; tokens of the one before stay good",
		Long: rotateKeyHelp,
		Example: `  phonebillctl keys rotate --reason "quarterly change"
  phonebillctl keys rotate --now --reason "the key may be known"`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				rotate := a.Users.RotateKey
				if now {
					rotate = a.Users.ReplaceKeys
				}
				k, err := rotate(cmd.Context(), by, why)
				return c.said(err, "%s signs from %s\n", k.KeyID, stamp(k.ActiveAt))
			})
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "sign with the new key at once and refuse all others")
	return reason(cmd, &why)
}

func (c Console) retireKey() *cobra.Command {
	var why string
	return reason(&cobra.Command{
		Use: "retire KID", Short: "Refuse a key that signs no more, within a second everywhere",
		Example: `  phonebillctl keys retire 3f9a01bc77d2e410 --reason "old key"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				return c.said(a.Users.RetireKey(cmd.Context(), by, args[0], why), "%s is refused\n", args[0])
			})
		},
	}, &why)
}

const serviceKeysHelp = `Credentials of systems that call for their users: sent as X-Service-Credential at login and
refresh, they make the end user's address and device believed and lift the limit per address. Two keys of a
service are good at a time: mint the next, change the caller over, and retire the old one or let the next mint
do it. No restart is needed.`

func (c Console) serviceKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use: "service-keys", Short: "Credentials of systems that call for their users (the MVNO AP server)",
		Long: serviceKeysHelp,
	}
	list := &cobra.Command{
		Use: "list", Short: "List the keys by the beginning of their hashes",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, _ admin.Caller) error {
				held, err := a.Users.Services.List(cmd.Context())
				if err != nil {
					return err
				}
				p := c.printer()
				p.head("KEY", "SERVICE", "CREATED", "RETIRED")
				for _, k := range held {
					p.line(admin.ShortHash(k.Hash), k.Service, stamp(k.CreatedAt), stamp(k.RetiredAt))
				}
				return p.done()
			})
		},
	}
	var mintWhy, retireWhy string
	mint := reason(&cobra.Command{
		Use: "mint SERVICE", Short: "Make a key and print it, once",
		Example: `  phonebillctl service-keys mint mvno-ap --reason "connect the AP server"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				key, err := a.Users.MintServiceKey(cmd.Context(), by, args[0], mintWhy)
				return c.said(err, "%s\n", key.Reveal())
			})
		},
	}, &mintWhy)
	retire := reason(&cobra.Command{
		Use: "retire KEY", Short: "Refuse a key, within seconds everywhere",
		Example: `  phonebillctl service-keys retire 3f9a01bc --reason "changed over"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				return c.said(a.Users.RetireServiceKey(cmd.Context(), by, args[0], retireWhy), "%s is refused\n", args[0])
			})
		},
	}, &retireWhy)
	cmd.AddCommand(list, mint, retire)
	return cmd
}

// otp shows what an authenticator app would: for the demo's staff, whose secrets stand in demo.json.
func (c Console) otp() *cobra.Command {
	return &cobra.Command{
		Use: "otp operator|admin", Short: "Print the one-time code of a demo account, as its authenticator app would",
		Example: "  phonebillctl otp admin",
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := devstack.ReadDemo(filepath.Join(c.folder(), "demo.json"))
			if err != nil {
				return err
			}
			account, known := map[string]devstack.Login{"operator": f.Operator, "admin": f.Admin}[args[0]]
			if !known {
				return failf("%s: the demo has an operator and an admin", args[0])
			}
			code, err := totp.GenerateCode(account.TOTPSecret, time.Now())
			return c.said(err, "%s\n", code)
		},
	}
}
