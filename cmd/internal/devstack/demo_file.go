package devstack

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"phonebill/cmd/internal/compose/service"
)

// DemoFile is .data/demo.json: everything a person or a test needs to talk to the running system.
type DemoFile struct {
	BaseURL   string            `json:"baseUrl"`
	Services  map[string]string `json:"services"`
	Metrics   map[string]string `json:"metrics"`
	KOS       Simulator         `json:"kos"`
	MVNOAP    Simulator         `json:"mvnoap"`
	Databases map[string]string `json:"databases"` // owner's URLs, passwords inside
	Cache     DemoCache         `json:"cache"`
	Customers []Login           `json:"customers"`
	Operator  Login             `json:"operator"`
	Admin     Login             `json:"admin"`
	// TLS are, with TLS=1, the files that a client needs: the authority for all origins, and a certificate for those of
	// the services and of metrics.
	TLS service.Identity `json:"tls,omitzero"`
}

// Simulator are the origins of a simulator.
type Simulator struct {
	URL     string `json:"url"`
	Control string `json:"control"`
}

// DemoCache is the cache server.
type DemoCache struct {
	Address  string `json:"address"`
	Cluster  bool   `json:"cluster,omitempty"` // the address is some nodes of a cluster, separated by commas
	Password string `json:"password"`
	Mini     bool   `json:"mini,omitempty"` // miniredis, for want of a server
}

// ReadDemo reads a demo file.
func ReadDemo(path string) (DemoFile, error) {
	var f DemoFile
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &f)
	}
	if err != nil {
		return f, fmt.Errorf("%w: is the system running? (make run)", err)
	}
	return f, nil
}

// Client returns a client of the origins in the file.
func (f DemoFile) Client(timeout time.Duration) (*http.Client, error) {
	via, err := f.TLS.Via(time.Now())
	return &http.Client{Transport: via, Timeout: timeout}, err
}

// Print prints what is running and how to log in.
func (f DemoFile) Print(out io.Writer, path string) error {
	_, err := fmt.Fprintf(out, `
phonebill is ready.

  API        %s/api/v1
  portal     %s/docs/
  health     %s/health
  KOS        %s   (control: %s)
  MVNO AP    %s   (control: %s)
  metrics    %s
  log        %s

  demo logins (all of this is in %s):
`, f.BaseURL, f.BaseURL, f.BaseURL, f.KOS.URL, f.KOS.Control, f.MVNOAP.URL, f.MVNOAP.Control, f.Metrics["gateway"],
		filepath.Join(filepath.Dir(path), "phonebill.log"), path)
	if err != nil {
		return err
	}
	if f.TLS.CA != "" {
		if _, err := fmt.Fprintf(out, "    (TLS: believe %s, as in curl --cacert)\n", f.TLS.CA); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	for _, c := range f.Customers {
		_, err := fmt.Fprintf(out, "    %-20s %-16s %s  %s\n", c.UserID, c.Password, c.LineNumber, c.Scenario)
		if err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "    %-20s %-16s %-11s  operator\n    %-20s %-16s %-11s  admin\n",
		f.Operator.UserID, f.Operator.Password, "", f.Admin.UserID, f.Admin.Password, "")
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(out, "\n  Try `make demo` in another terminal. Ctrl-C stops everything; the data stays.\n\n")
	return err
}

// Write writes the file by rename, readable by its owner alone.
func (f DemoFile) Write(path string) error {
	raw, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("demo file: %w", err)
	}
	return WriteFile(path, append(raw, '\n'))
}
