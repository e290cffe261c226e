// Measures apache/rocketmq-client-go. The task is JSON in the first argument, the result one line of JSON; see Task.ts.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

type task struct {
	Address       string
	Topic         string
	Kind          string
	InFlight      int
	BodySize      int
	BatchSize     int
	Slice         int
	WarmUp        int
	WarmUpSeconds float64
	RampSeconds   float64
	Seconds       float64
}

type result struct {
	Messages     int     `json:"messages"`
	Seconds      float64 `json:"seconds"`
	CPUSeconds   float64 `json:"cpuSeconds"`
	P50Millis    float64 `json:"p50Millis"`
	P99Millis    float64 `json:"p99Millis"`
	RSSMiB       float64 `json:"rssMiB"`
	Failed       int     `json:"failed"`
	FirstFailure string  `json:"firstFailure,omitempty"`
	Total        int     `json:"total"`
}

// A phase says when it is over, and counts.
type phase struct {
	most         int
	deadline     time.Time
	lock         sync.Mutex
	begun        int
	messages     int
	failed       int
	firstFailure string
	latencies    []time.Duration
}

func (p *phase) begin(messages int) (time.Time, bool) {
	now := time.Now()
	if now.After(p.deadline) {
		return now, false
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.begun >= p.most {
		return now, false
	}
	p.begun += messages
	return now, true
}

func (p *phase) done(began time.Time, messages int, err error) {
	took := time.Since(began)
	p.lock.Lock()
	defer p.lock.Unlock()
	if err != nil {
		p.failed++
		if p.firstFailure == "" {
			p.firstFailure = err.Error()
		}
		return
	}
	p.messages += messages
	p.latencies = append(p.latencies, took)
}

func (p *phase) percentile(share float64) float64 {
	if len(p.latencies) == 0 {
		return 0
	}
	slices.Sort(p.latencies)
	index := min(len(p.latencies)-1, int(float64(len(p.latencies))*share))
	return float64(p.latencies[index]) / 1e6
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func rssMiB() float64 {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.SplitSeq(string(text), "\n") {
		var kilobytes float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kilobytes); err == nil {
			return kilobytes / 1024
		}
	}
	return 0
}

func newProducer(t task) rocketmq.Producer {
	p, err := rocketmq.NewProducer(
		producer.WithGroupName("go-bench"),
		producer.WithNsResolver(primitive.NewPassthroughResolver([]string{t.Address})),
		producer.WithSendMsgTimeout(10*time.Second),
		producer.WithCompressMsgBodyOverHowmuch(1<<30),
	)
	if err != nil {
		panic(err)
	}
	return p
}

// The request of one kind, with so many messages in it.
func request(p rocketmq.Producer, topic string, kind string, size int, bodySize int) func() error {
	body := make([]byte, bodySize)
	return func() error {
		messages := make([]*primitive.Message, size)
		for i := range messages {
			messages[i] = primitive.NewMessage(topic, body)
		}
		if kind == "oneway" {
			return p.SendOneWay(context.Background(), messages...)
		}
		_, err := p.SendSync(context.Background(), messages...)
		return err
	}
}

// As many goroutines as there may be requests in flight; SendAsync would start one more for each request.
func run(p rocketmq.Producer, t task, kind string, inFlight int, bodySize int, in *phase) {
	size := 1
	if kind == "batch" {
		size = t.BatchSize
	}
	send := request(p, t.Topic, kind, size, bodySize)
	if kind == "oneway" {
		acknowledged := request(p, t.Topic, "send", 1, bodySize)
		for {
			for range t.Slice {
				began, more := in.begin(1)
				if !more {
					break
				}
				in.done(began, 1, send())
			}
			// Behind all others of the one connection.
			in.done(time.Now(), 1, acknowledged())
			if time.Now().After(in.deadline) {
				return
			}
		}
	}
	var senders sync.WaitGroup
	for range inFlight {
		senders.Go(func() {
			for {
				began, more := in.begin(size)
				if !more {
					return
				}
				in.done(began, size, send())
			}
		})
	}
	senders.Wait()
}

func newPhase(most int, seconds float64) *phase {
	return &phase{most: most, deadline: time.Now().Add(time.Duration(seconds * 1e9)), latencies: make([]time.Duration, 0, 1<<20)}
}

func main() {
	rlog.SetLogLevel("fatal")
	var t task
	if err := json.Unmarshal([]byte(os.Args[1]), &t); err != nil {
		panic(err)
	}
	begin := time.Now()
	p := newProducer(t)
	if err := p.Start(); err != nil {
		panic(err)
	}
	started := time.Now()
	if err := request(p, t.Topic, "send", 1, t.BodySize)(); err != nil {
		panic(err)
	}
	if t.Seconds == 0 {
		fmt.Printf("{\"startMillis\":%f,\"startToFirstAckMillis\":%f}\n",
			started.Sub(begin).Seconds()*1e3, time.Since(begin).Seconds()*1e3)
		return
	}
	warming := newPhase(t.WarmUp, t.WarmUpSeconds)
	run(p, t, "send", 256, min(t.BodySize, 1024), warming)
	const endless = 1 << 40
	ramp := newPhase(endless, t.RampSeconds)
	run(p, t, t.Kind, t.InFlight, t.BodySize, ramp)
	fmt.Println("measuring")
	cpu := cpuSeconds()
	begin = time.Now()
	measured := newPhase(endless, t.Seconds)
	run(p, t, t.Kind, t.InFlight, t.BodySize, measured)
	seconds := time.Since(begin).Seconds()
	out := result{
		Messages:   measured.messages,
		Seconds:    seconds,
		CPUSeconds: cpuSeconds() - cpu,
		P50Millis:  measured.percentile(0.5),
		P99Millis:  measured.percentile(0.99),
		RSSMiB:     rssMiB(),
		Failed:     warming.failed + ramp.failed + measured.failed,
		Total:      1 + warming.messages + ramp.messages + measured.messages,
	}
	for _, part := range []*phase{warming, ramp, measured} {
		if out.FirstFailure == "" {
			out.FirstFailure = part.firstFailure
		}
	}
	line, _ := json.Marshal(out)
	fmt.Println(string(line))
}
