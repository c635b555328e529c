// Servers in Go: a goroutine for each connection. fd 3 is the socket; see bench/io.
//
//	go_io echo|udp|proxy WORKERS UPSTREAM_PORT
package main

import (
	"net"
	"os"
	"runtime"
	"strconv"
)

const (
	socket       = 3
	messageBytes = 1024
	proxyBytes   = 64 * 1024
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func echo(connection net.Conn) {
	defer connection.Close()
	var buffer [messageBytes]byte
	for {
		got, err := connection.Read(buffer[:])
		if err != nil {
			return
		}
		if _, err = connection.Write(buffer[:got]); err != nil {
			return
		}
	}
}

// By hand: io.Copy would splice, and the others copy.
func move(to, from net.Conn) {
	buffer := make([]byte, proxyBytes)
	for {
		got, err := from.Read(buffer)
		if err != nil {
			return
		}
		if _, err = to.Write(buffer[:got]); err != nil {
			return
		}
	}
}

func proxy(near net.Conn) {
	far, err := net.Dial("tcp", "127.0.0.1:"+os.Args[3])
	check(err)
	go move(near, far)
	move(far, near)
}

func serve(file *os.File, handle func(net.Conn)) {
	listener, err := net.FileListener(file)
	check(err)
	for {
		connection, err := listener.Accept()
		check(err)
		go handle(connection)
	}
}

func serveDatagrams(file *os.File) {
	connection, err := net.FilePacketConn(file)
	check(err)
	udp := connection.(*net.UDPConn)
	var buffer [messageBytes]byte
	for {
		got, from, err := udp.ReadFromUDPAddrPort(buffer[:])
		check(err)
		udp.WriteToUDPAddrPort(buffer[:got], from)
	}
}

func main() {
	workers, err := strconv.Atoi(os.Args[2])
	check(err)
	runtime.GOMAXPROCS(workers)
	file := os.NewFile(socket, "socket")
	switch os.Args[1] {
	case "echo":
		serve(file, echo)
	case "proxy":
		serve(file, proxy)
	case "udp":
		serveDatagrams(file)
	}
}
