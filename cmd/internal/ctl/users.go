package ctl

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/line"
	"phonebill/core/personal"
)

func (c Console) users() *cobra.Command {
	cmd := &cobra.Command{Use: "users", Short: "Create, show, search, unlock, suspend and load accounts"}
	cmd.AddCommand(
		c.createUser(), c.showUser(), c.listUsers(), c.unlockUser(), c.setStatus("suspend", "Suspend", auth.Suspended),
		c.setStatus("activate", "Activate", auth.Active), c.resetFactor(), c.userHistory(), c.importUsers(),
		c.transfers(), c.clashes(), c.setTier(),
	)
	return cmd
}

// account as the flags say.
type userChanges struct {
	name, phone, email, customer, why string
	lines                             []string
	roles                             []auth.Role
	permissions                       []auth.Permission
	fromStdin                         bool
}

const createUserHelp = `Create an account. The password is read from standard input (--password-stdin, first line),
or made and printed once. An operator or administrator gets a second factor: its otpauth URI and recovery
codes are printed once too. Hand them over safely.`

func (c Console) createUser() *cobra.Command {
	var w userChanges
	cmd := &cobra.Command{
		Use: "create USER_ID", Short: "Create an account; the first administrator too",
		Long: createUserHelp,
		Example: `  phonebillctl users create admin-lee --name "Lee Admin" --role ADMIN --reason "first administrator"
  phonebillctl users create hong-gildong --name "Hong Gildong" --phone 010-1234-5678 \
    --line 010-1234-5678 --customer CUST-0001 --permission BILL_INQUIRY --permission PRODUCT_CHANGE \
    --password-stdin --reason "new contract" < password.txt`,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := w.account(args[0])
			if err != nil {
				return err
			}
			made := ""
			if w.fromStdin {
				n.Password, err = firstLine(cmd.InOrStdin())
			} else {
				made = freshPassword()
				n.Password = personal.NewSecret(made)
			}
			if err != nil {
				return err
			}
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				created, err := a.Users.Create(cmd.Context(), by, n)
				if err != nil {
					return err
				}
				return c.printCreated(created, made)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&w.name, "name", "", "name of the person (required)")
	f.StringVar(&w.phone, "phone", "", "telephone number")
	f.StringVar(&w.email, "email", "", "mail address")
	f.StringVar(&w.customer, "customer", "", "customer id at the carrier")
	f.StringArrayVar(&w.lines, "line", nil, "line that the customer owns; repeat for more, the main one first")
	w.roles = []auth.Role{auth.Customer}
	f.Var(anyOf(&w.roles, auth.AllRoles()...), "role", "role; repeat for more")
	f.Var(anyOf(&w.permissions, auth.AllPermissions()...), "permission", "permission; repeat for more")
	f.BoolVar(&w.fromStdin, "password-stdin", false, "read the password from standard input")
	_ = cmd.MarkFlagRequired("name") // the flag exists
	return reason(cmd, &w.why)
}

func (w userChanges) account(user string) (admin.New, error) {
	var errs [5]error
	n := admin.New{Reason: w.why}
	n.UserID, errs[0] = auth.ParseUserID(user)
	n.Name, errs[1] = auth.ParseName(w.name)
	n.Phone, errs[2] = auth.ParsePhone(w.phone)
	n.Email, errs[3] = auth.ParseEmail(w.email)
	n.CustomerID, errs[4] = auth.ParseCustomerID(w.customer)
	err := errors.Join(errs[:]...)
	for _, s := range w.lines {
		number, bad := line.Parse(s)
		n.Lines, err = append(n.Lines, number), errors.Join(err, bad)
	}
	n.Roles, n.Grants = w.roles, w.permissions
	return n, err
}

// firstLine reads a password.
func firstLine(in io.Reader) (personal.Secret, error) {
	text, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || text == "") {
		return personal.Secret{}, failf("no password on standard input")
	}
	return personal.NewSecret(strings.TrimRight(text, "\r\n")), nil
}

// freshPassword has 130 bits.
func freshPassword() string { return strings.ToLower(rand.Text()) }

func (c Console) printCreated(made admin.Created, password string) error {
	if err := c.printAccount(made.Account, false); err != nil {
		return err
	}
	p := c.printer()
	if password != "" {
		p.row("password", password)
	}
	if e := made.Enrolment; e != nil {
		p.factor(*e)
	}
	if password != "" || made.Enrolment != nil {
		p.say("(shown this once)")
	}
	return p.done()
}

func (c Console) showUser() *cobra.Command {
	var clear bool
	var why string
	cmd := &cobra.Command{
		Use: "show USER_ID", Short: "Show an account, masked",
		Example: `  phonebillctl users show hong-gildong
  phonebillctl users show hong-gildong --reveal --reason "the customer asks what is stored"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) (err error) {
				var found auth.Account
				if clear {
					found, err = a.Users.Reveal(cmd.Context(), by, auth.UserID(args[0]), why)
				} else {
					found, err = a.Users.Show(cmd.Context(), by, auth.UserID(args[0]))
				}
				if err != nil {
					return err
				}
				return c.printAccount(found, clear)
			})
		},
	}
	cmd.Flags().BoolVar(&clear, "reveal", false, "show name, numbers and address in clear; wants a --reason")
	cmd.Flags().StringVar(&why, "reason", "", "why, in 2 characters or more; it is recorded")
	return cmd
}

func (c Console) listUsers() *cobra.Command {
	var f auth.AccountFilter
	var number string
	cmd := &cobra.Command{
		Use: "list", Short: "Search for accounts by id, customer, line or status",
		Example: `  phonebillctl users list --status LOCKED
  phonebillctl users list --line 010-1234-5678
  phonebillctl users list --customer CUST-0001 --page 2 --size 50`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if number != "" {
				if f.Line, err = line.Parse(number); err != nil {
					return err
				}
			}
			if err := checkPage(f.Page, f.Size); err != nil {
				return err
			}
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				found, total, err := a.Users.Search(cmd.Context(), by, f)
				if err != nil {
					return err
				}
				return c.printAccounts(found, a.Now(), f.Page, f.Size, total)
			})
		},
	}
	cmd.Flags().StringVar((*string)(&f.UserID), "user", "", "the account of this id")
	cmd.Flags().StringVar(&f.CustomerID, "customer", "", "the accounts of this customer")
	cmd.Flags().StringVar(&number, "line", "", "the accounts that own this line")
	cmd.Flags().Var(oneOf(&f.Status, auth.Active, auth.LockedOut, auth.Suspended, auth.Inactive), "status",
		"the accounts in this state")
	paged(cmd, &f.Page, &f.Size)
	return cmd
}

func paged(cmd *cobra.Command, page, size *int) {
	cmd.Flags().IntVar(page, "page", 1, "page, the first is 1")
	cmd.Flags().IntVar(size, "size", 20, "rows on a page, at most 100")
}

func checkPage(page, size int) error {
	const most = 100
	if page < 1 || size < 1 || size > most || page > auth.MaxCounted/size {
		return failf("--page counts from 1, --size is 1-100, and page x size at most 10,000")
	}
	return nil
}

func (c Console) unlockUser() *cobra.Command {
	var why string
	return reason(&cobra.Command{
		Use: "unlock USER_ID", Short: "Forget wrong passwords, and the lock with them",
		Example: `  phonebillctl users unlock hong-gildong --reason "the customer asks"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				_, err := a.Users.Unlock(cmd.Context(), by, auth.UserID(args[0]), why)
				return c.said(err, "%s is unlocked\n", args[0])
			})
		},
	}, &why)
}

const resetFactorHelp = `For an owner who has lost the authenticator app and the recovery codes. An operator or
administrator gets a new second factor, printed this once, and enrols anew at the next log-in; a customer has
none from then on and can enrol again. All sessions of the account end.`

func (c Console) resetFactor() *cobra.Command {
	var why string
	return reason(&cobra.Command{
		Use: "reset-factor USER_ID", Short: "Replace the lost second factor of staff, remove that of a customer",
		Long:    resetFactorHelp,
		Example: `  phonebillctl users reset-factor ops-kim --reason "device lost, identity checked"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				e, err := a.Users.ResetFactor(cmd.Context(), by, auth.UserID(args[0]), why)
				if err != nil || len(e.RecoveryCodes) == 0 {
					return c.said(err, "%s has no second factor\n", args[0])
				}
				p := c.printer()
				p.factor(e)
				p.say("(shown this once)")
				return p.done()
			})
		},
	}, &why)
}

func (c Console) setStatus(verb, title string, to auth.Status) *cobra.Command {
	var why string
	return reason(&cobra.Command{
		Use: verb + " USER_ID", Short: title + " an account; takes effect within a second",
		Example: "  phonebillctl users " + verb + ` hong-gildong --reason "identity theft reported"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				seen, err := a.Users.Show(cmd.Context(), by, auth.UserID(args[0]))
				if err != nil {
					return err
				}
				changed, err := a.Users.Update(cmd.Context(), by, seen.UserID, admin.Update{
					Status: &to, Version: seen.Version, Reason: why,
				})
				return c.said(err, "%s is %s\n", args[0], changed.Status)
			})
		},
	}, &why)
}

const tierHelp = `By default DEFAULT may make 100 requests a minute, VIP 500 and MVNO_AP 10,000; BENCH has no limit
and exists in development alone. Tokens from before the change are refused within a second; the refreshed
ones have the new tier.`

func (c Console) setTier() *cobra.Command {
	var why string
	return reason(&cobra.Command{
		Use: "tier USER_ID TIER", Short: "Set how many requests an account may make; takes effect within a second",
		Long:    tierHelp,
		Example: `  phonebillctl users tier hong-gildong VIP --reason "a good customer"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			tier, err := auth.ParseTier(strings.ToUpper(args[1]))
			if err != nil {
				return err
			}
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				seen, err := a.Users.Show(cmd.Context(), by, auth.UserID(args[0]))
				if err != nil {
					return err
				}
				changed, err := a.Users.Update(cmd.Context(), by, seen.UserID, admin.Update{
					Tier: &tier, Version: seen.Version, Reason: why,
				})
				return c.said(err, "%s has the tier %s\n", args[0], changed.Tier.OrDefault())
			})
		},
	}, &why)
}

func (c Console) userHistory() *cobra.Command {
	var page, size int
	cmd := &cobra.Command{
		Use: "history USER_ID", Short: "Show what happened to an account's logins, newest first",
		Example: "  phonebillctl users history hong-gildong --size 50",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkPage(page, size); err != nil {
				return err
			}
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				events, total, err := a.Users.LoginHistory(cmd.Context(), by, auth.UserID(args[0]), page, size)
				if err != nil {
					return err
				}
				return c.printLogins(events, page, size, total)
			})
		},
	}
	paged(cmd, &page, &size)
	return cmd
}

// said prints that something is done. The format is in the catalogue.
func (c Console) said(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Out, c.lang.text(format), args...)
	return err
}

const clashesHelp = `List accounts whose ids differ in case alone, side by side. They are of before an id was one
account whatever its case, and log in by exact spelling until all but one of them are INACTIVE.`

func (c Console) clashes() *cobra.Command {
	return &cobra.Command{
		Use: "clashes", Short: "List accounts whose ids differ in case alone", Args: cobra.NoArgs,
		Long: clashesHelp,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				found, err := a.Users.Clashes(cmd.Context(), by)
				if err != nil {
					return err
				}
				return c.printClashes(found)
			})
		},
	}
}
