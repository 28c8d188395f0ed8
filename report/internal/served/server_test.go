// SPDX-License-Identifier: Apache-2.0

package served

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestStalledClient: an answer that nobody takes ends; one that is taken slowly
// arrives whole, though it lasts longer than a stall may.
func TestStalledClient(t *testing.T) {
	defer func(d time.Duration) { stallLimit = d }(stallLimit)
	stallLimit = 500 * time.Millisecond
	// More than the sockets' buffers hold.
	answer := bytes.Repeat([]byte("0123456789abcdef"), 4<<20)
	ended := make(chan error, 1)
	server := Server(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(answer)
		ended <- err
	}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() { _ = server.Serve(ln) }()
	ask := func() net.Conn {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
		return c
	}

	ask() // and never read
	select {
	case err := <-ended:
		if err == nil {
			t.Error("all of the answer was written, and none of it taken")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the server waits for a client that takes nothing")
	}

	slow, began, n := ask(), time.Now(), int64(0)
	for {
		k, err := io.CopyN(io.Discard, slow, 4<<20)
		n += k
		if err != nil {
			break
		}
		time.Sleep(stallLimit / 10)
	}
	if err := <-ended; err != nil || n < int64(len(answer)) || time.Since(began) < stallLimit {
		t.Errorf("a slow client got %d bytes of %d in %v: %v", n, len(answer), time.Since(began), err)
	}
}
