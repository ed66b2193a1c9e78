// Uploads that are refused, by net/http: upload URL TOKEN STATUS:PATH... over HTTP/1.1 and HTTP/2.
package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func post(client *http.Client, url, token string, size int) int {
	request, err := http.NewRequest("POST", url, bytes.NewReader(make([]byte, size)))
	if err != nil {
		log.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		log.Fatal(url, " ", size, " bytes: ", err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		log.Fatal(url, " ", size, " bytes: ", err)
	}
	return response.StatusCode
}

func main() {
	base, token, cases := os.Args[1], os.Args[2], os.Args[3:]
	// Without an entry for h2.
	http1 := &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	for _, client := range []*http.Client{http.DefaultClient, {Transport: http1}} {
		for _, one := range cases {
			status, path, _ := strings.Cut(one, ":")
			credential := ""
			if status == "403" {
				credential = token
			}
			for _, size := range []int{1 << 10, 1 << 20, 10 << 20} {
				got := post(client, base+path, credential, size)
				if strconv.Itoa(got) != status {
					log.Fatal(one, " ", size, " bytes: ", got)
				}
			}
		}
	}
}
