// What a broker does for the Go client, one JSON line an observation: push consumers of every kind, transactions with
// checks, retries up to the dead letters, and pull consumers that poll and assign.
//
// Arguments: the name server's address, and the seconds after which it gives up. The topics go-push, go-orderly,
// go-broadcast, go-tags, go-transaction, go-retry, go-poll and go-assign must exist with two queues on one broker, and
// %RETRY%go-retry-cg and %DLQ%go-retry-cg with one: the client looks for new routes every 30 seconds only. The scenarios run
// side by side; each has its own topic and groups.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

var (
	nameServer string
	patience   time.Duration
	printing   sync.Mutex
)

type fields map[string]interface{}

func say(scenario, what string, line fields) {
	line["scenario"] = scenario
	line["what"] = what
	text, err := json.Marshal(line)
	check(err)
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(string(text))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// seen gathers texts of several goroutines and waits until there are enough of them.
type seen struct {
	sync.Mutex
	texts []string
}

func (s *seen) add(text string) {
	s.Lock()
	defer s.Unlock()
	s.texts = append(s.texts, text)
}

func (s *seen) all() []string {
	s.Lock()
	defer s.Unlock()
	return append([]string{}, s.texts...)
}

func (s *seen) sorted() []string {
	texts := s.all()
	sort.Strings(texts)
	return texts
}

func await(what func() string, ready func() bool) {
	for end := time.Now().Add(patience); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			panic("did not happen: " + what())
		}
	}
}

func (s *seen) await(count int) {
	await(func() string { return fmt.Sprintf("%d messages, there were %v", count, s.all()) }, func() bool { return len(s.all()) >= count })
}

func resolver() primitive.NsResolver {
	return primitive.NewPassthroughResolver([]string{nameServer})
}

func newProducer(name string, options ...producer.Option) rocketmq.Producer {
	all := append([]producer.Option{
		producer.WithNsResolver(resolver()), producer.WithGroupName(name + "-pg"), producer.WithInstanceName(name + "-pg"),
		producer.WithSendMsgTimeout(10 * time.Second),
	}, options...)
	p, err := rocketmq.NewProducer(all...)
	check(err)
	check(p.Start())
	return p
}

func send(p rocketmq.Producer, messages ...*primitive.Message) {
	for _, message := range messages {
		result, err := p.SendSync(context.Background(), message)
		check(err)
		if result.Status != primitive.SendOK {
			panic(result.String())
		}
	}
}

func message(topic, body string) *primitive.Message {
	return primitive.NewMessage(topic, []byte(body))
}

func messages(topic string, count int) []*primitive.Message {
	all := make([]*primitive.Message, count)
	for i := range all {
		all[i] = message(topic, strconv.Itoa(100+i))
	}
	return all
}

func pushOptions(group, instance string, more ...consumer.Option) []consumer.Option {
	return append([]consumer.Option{
		consumer.WithNsResolver(resolver()), consumer.WithGroupName(group), consumer.WithInstance(instance),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}, more...)
}

type listener func(*primitive.MessageExt) consumer.ConsumeResult

func push(topic, group, instance, tags string, listen listener, more ...consumer.Option) rocketmq.PushConsumer {
	c, err := rocketmq.NewPushConsumer(pushOptions(group, instance, more...)...)
	check(err)
	selector := consumer.MessageSelector{}
	if tags != "" {
		selector = consumer.MessageSelector{Type: consumer.TAG, Expression: tags}
	}
	check(c.Subscribe(topic, selector, func(_ context.Context, all ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, each := range all {
			if result := listen(each); result != consumer.ConsumeSuccess {
				return result, nil
			}
		}
		return consumer.ConsumeSuccess, nil
	}))
	check(c.Start())
	return c
}

func gather(into *seen) listener {
	return func(message *primitive.MessageExt) consumer.ConsumeResult {
		into.add(string(message.Body))
		return consumer.ConsumeSuccess
	}
}

func concurrent() {
	p := newProducer("go-push")
	send(p, messages("go-push", 20)...)
	first := &seen{}
	c := push("go-push", "go-push-cg", "go-push", "", gather(first))
	first.await(20)
	// What comes while a pull is held.
	send(p, messages("go-push", 5)...)
	first.await(25)
	say("push", "consumed", fields{"bodies": first.sorted()})
	check(c.Shutdown())
	// Who comes later reads on where the group stopped.
	second := &seen{}
	send(p, message("go-push", "later"))
	c = push("go-push", "go-push-cg", "go-push-again", "", gather(second))
	second.await(1)
	say("push", "consumed later", fields{"bodies": second.sorted()})
	check(c.Shutdown())
	check(p.Shutdown())
}

func orderly() {
	p := newProducer("go-orderly", producer.WithQueueSelector(producer.NewHashQueueSelector()))
	for _, each := range messages("go-orderly", 20) {
		send(p, each.WithShardingKey("key"))
	}
	texts := &seen{}
	c := push("go-orderly", "go-orderly-cg", "go-orderly", "", func(message *primitive.MessageExt) consumer.ConsumeResult {
		if string(message.Body) == "110" && message.ReconsumeTimes == 0 {
			texts.add("110, first")
			return consumer.SuspendCurrentQueueAMoment
		}
		texts.add(string(message.Body))
		return consumer.ConsumeSuccess
	}, consumer.WithConsumerOrder(true), consumer.WithSuspendCurrentQueueTimeMillis(100*time.Millisecond))
	texts.await(21)
	say("orderly", "consumed", fields{"bodies": texts.all()})
	check(c.Shutdown())
	check(p.Shutdown())
}

func broadcast() {
	p := newProducer("go-broadcast")
	all := make([]*seen, 2)
	consumers := make([]rocketmq.PushConsumer, len(all))
	for i := range all {
		all[i] = &seen{}
		consumers[i] = push("go-broadcast", "go-broadcast-cg", fmt.Sprintf("go-broadcast-%d", i), "", gather(all[i]),
			consumer.WithConsumerModel(consumer.BroadCasting))
	}
	// A broadcasting consumer begins at the end, if the queue is not empty.
	send(p, messages("go-broadcast", 10)...)
	for i, each := range all {
		each.await(10)
		say("broadcast", fmt.Sprintf("consumed by %d", i), fields{"bodies": each.sorted()})
	}
	for _, each := range consumers {
		check(each.Shutdown())
	}
	check(p.Shutdown())
}

func tags() {
	p := newProducer("go-tags")
	for i, each := range messages("go-tags", 12) {
		send(p, each.WithTag([]string{"red", "green", "blue"}[i%3]).WithKeys([]string{"k" + strconv.Itoa(i)}))
	}
	texts := &seen{}
	c := push("go-tags", "go-tags-cg", "go-tags", "red || blue", func(message *primitive.MessageExt) consumer.ConsumeResult {
		texts.add(string(message.Body) + " " + message.GetTags() + " " + message.GetKeys())
		return consumer.ConsumeSuccess
	})
	texts.await(8)
	say("tags", "consumed", fields{"bodies": texts.sorted()})
	check(c.Shutdown())
	check(p.Shutdown())
}

type transactions struct{ checked seen }

func (t *transactions) ExecuteLocalTransaction(message *primitive.Message) primitive.LocalTransactionState {
	switch string(message.Body) {
	case "commit":
		return primitive.CommitMessageState
	case "rollback":
		return primitive.RollbackMessageState
	}
	return primitive.UnkonwnState
}

func (t *transactions) CheckLocalTransaction(message *primitive.MessageExt) primitive.LocalTransactionState {
	text := string(message.Body)
	t.checked.add(text)
	if strings.HasSuffix(text, "rollback") {
		return primitive.RollbackMessageState
	}
	return primitive.CommitMessageState
}

func transaction() {
	listener := &transactions{}
	p, err := rocketmq.NewTransactionProducer(listener, producer.WithNsResolver(resolver()),
		producer.WithGroupName("go-transaction-pg"), producer.WithInstanceName("go-transaction-pg"))
	check(err)
	check(p.Start())
	for _, body := range []string{"commit", "rollback", "asked, commit", "asked, rollback"} {
		result, err := p.SendMessageInTransaction(context.Background(), message("go-transaction", body))
		check(err)
		say("transaction", "sent", fields{"body": body, "state": result.State, "status": result.Status})
	}
	texts := &seen{}
	c := push("go-transaction", "go-transaction-cg", "go-transaction", "", gather(texts))
	texts.await(2)
	await(func() string { return "a check of each" }, func() bool {
		asked := strings.Join(listener.checked.all(), ";")
		return strings.Contains(asked, "asked, commit") && strings.Contains(asked, "asked, rollback")
	})
	say("transaction", "consumed", fields{"bodies": texts.sorted()})
	check(c.Shutdown())
	check(p.Shutdown())
}

func retry() {
	p := newProducer("go-retry")
	send(p, message("go-retry", "never right").WithKeys([]string{"retried"}))
	tries := &seen{}
	c := push("go-retry", "go-retry-cg", "go-retry", "", func(message *primitive.MessageExt) consumer.ConsumeResult {
		tries.add(fmt.Sprintf("%d of %s %s", message.ReconsumeTimes, message.Topic, message.GetKeys()))
		return consumer.ConsumeRetryLater
	}, consumer.WithMaxReconsumeTimes(2))
	dead := &seen{}
	tries.await(3)
	d := push("%DLQ%go-retry-cg", "go-retry-reader", "go-retry-reader", "", func(message *primitive.MessageExt) consumer.ConsumeResult {
		dead.add(fmt.Sprintf("%s, %d, of %s", message.Body, message.ReconsumeTimes, message.GetProperty("RETRY_TOPIC")))
		return consumer.ConsumeSuccess
	})
	dead.await(1)
	say("retry", "tried", fields{"tries": tries.all()})
	say("retry", "dead", fields{"messages": dead.all()})
	check(c.Shutdown())
	check(d.Shutdown())
	check(p.Shutdown())
}

func puller(name string) rocketmq.PullConsumer {
	c, err := rocketmq.NewPullConsumer(pushOptions(name+"-cg", name)...)
	check(err)
	return c
}

// poll takes messages until there are enough, and acknowledges them.
func poll(c rocketmq.PullConsumer, count int) *seen {
	texts := &seen{}
	for end := time.Now().Add(patience); len(texts.all()) < count; {
		if time.Now().After(end) {
			panic(fmt.Sprintf("%d of %d messages were polled", len(texts.all()), count))
		}
		polled, err := c.Poll(context.Background(), time.Second)
		if consumer.IsNoNewMsgError(err) {
			continue
		}
		check(err)
		for _, each := range polled.GetMsgList() {
			texts.add(string(each.Body))
		}
		c.ACK(context.Background(), polled, consumer.ConsumeSuccess)
	}
	return texts
}

func polled() {
	p := newProducer("go-poll")
	send(p, messages("go-poll", 10)...)
	c := puller("go-poll")
	check(c.Subscribe("go-poll", consumer.MessageSelector{}))
	check(c.Start())
	say("poll", "consumed", fields{"bodies": poll(c, 10).sorted()})
	send(p, message("go-poll", "later"))
	say("poll", "consumed later", fields{"bodies": poll(c, 1).sorted()})
	check(c.Shutdown())
	check(p.Shutdown())
}

func assigned() {
	p := newProducer("go-assign")
	send(p, messages("go-assign", 10)...)
	c := puller("go-assign")
	check(c.Assign("go-assign", nil))
	check(c.Start())
	queues, err := c.GetTopicRouteInfo("go-assign")
	check(err)
	for _, queue := range queues {
		offset, err := c.OffsetForTimestamp(queue, time.Now().Add(-time.Hour).UnixMilli())
		check(err)
		c.SeekOffset(queue, offset)
	}
	check(c.Assign("go-assign", queues))
	say("assign", "consumed", fields{"queues": len(queues), "bodies": poll(c, 10).sorted()})
	for _, queue := range queues {
		offset, err := c.CurrentOffset(queue)
		check(err)
		end, err := c.OffsetForTimestamp(queue, time.Now().Add(time.Hour).UnixMilli())
		check(err)
		say("assign", fmt.Sprintf("queue %d", queue.QueueId), fields{"read to the end": offset >= end})
	}
	check(c.Shutdown())
	check(p.Shutdown())
}

func main() {
	// Whoever started this program holds its standard input open.
	go func() {
		_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
		os.Exit(3)
	}()
	rlog.SetLogLevel("fatal")
	nameServer = os.Args[1]
	seconds, err := strconv.Atoi(os.Args[2])
	check(err)
	patience = time.Duration(seconds) * time.Second
	scenarios := []func(){concurrent, orderly, broadcast, tags, transaction, retry, polled, assigned}
	var running sync.WaitGroup
	for _, scenario := range scenarios {
		running.Add(1)
		go func(run func()) {
			defer running.Done()
			run()
		}(scenario)
	}
	running.Wait()
	os.Exit(0)
}
