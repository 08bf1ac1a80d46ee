package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// metrics are the lines of a page of metrics: the value by name and labels.
type metrics map[string]float64

// scrape reads a page of metrics.
func scrape(ctx context.Context, url string) (metrics, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("bench: %s answered %s", url, res.Status)
	}
	m, in := metrics{}, bufio.NewScanner(res.Body)
	for in.Scan() {
		at := strings.LastIndexByte(in.Text(), ' ')
		if at < 0 || strings.HasPrefix(in.Text(), "#") {
			continue
		}
		if value, err := strconv.ParseFloat(in.Text()[at+1:], 64); err == nil {
			m[in.Text()[:at]] = value
		}
	}
	return m, in.Err()
}

// sum adds up the values of a metric over all its labels but those that do not hold like `outcome="passed"`.
func (m metrics) sum(name string, labels ...string) (total float64) {
next:
	for key, value := range m {
		found, rest, _ := strings.Cut(key, "{")
		if found != name {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(rest, label) {
				continue next
			}
		}
		total += value
	}
	return total
}
