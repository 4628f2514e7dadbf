package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// The metrics of a server in Go that tell of its heap.
const (
	metricLive        = "go_gc_heap_live_bytes"
	metricCollections = "go_gc_duration_seconds_count"
)

// maxScrapes bounds the requests that it takes until the garbage has been collected.
const maxScrapes = 20_000

// liveHeap is what a server's heap holds without garbage: what a collection of garbage
// left that began after the call. Each request for the metrics makes some garbage, so
// that a collection comes.
func liveHeap(ctx context.Context, metrics string) (int64, error) {
	first := -1.0
	for range maxScrapes {
		values, err := scrape(ctx, metrics)
		if err != nil {
			return 0, err
		}
		if first < 0 {
			first = values[metricCollections]
		}
		// The first that ends may have begun before.
		if values[metricCollections] >= first+2 {
			return int64(values[metricLive]), nil
		}
	}
	return 0, errors.New("no garbage was collected")
}

// scrape reads the metrics without labels.
func scrape(ctx context.Context, address string) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	defer response.Body.Close()
	values := make(map[string]float64)
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, text, found := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); found && err == nil {
			values[name] = value
		}
	}
	if _, has := values[metricLive]; !has && lines.Err() == nil {
		return nil, fmt.Errorf("no %s among the metrics of %s", metricLive, address)
	}
	return values, lines.Err()
}
