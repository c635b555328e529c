//! Servers on tokio: a task for each connection. fd 3 is the socket; see bench/io.
//!
//!     tokio_io echo|udp|proxy WORKERS UPSTREAM_PORT
//!
//! One worker is the single-threaded scheduler, more are the work-stealing one.

use std::future::Future;
use std::os::unix::io::FromRawFd;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Builder;

const SOCKET: i32 = 3;
const MESSAGE_BYTES: usize = 1024;
const PROXY_BYTES: usize = 64 * 1024;

async fn echo(mut stream: TcpStream) {
    let mut buffer = [0u8; MESSAGE_BYTES];
    while let Ok(got) = stream.read(&mut buffer).await {
        if got == 0 || stream.write_all(&buffer[..got]).await.is_err() {
            return;
        }
    }
}

async fn move_half<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(mut from: R, mut to: W) {
    let mut buffer = vec![0u8; PROXY_BYTES];
    while let Ok(got) = from.read(&mut buffer).await {
        if got == 0 || to.write_all(&buffer[..got]).await.is_err() {
            return;
        }
    }
}

async fn proxy(near: TcpStream) {
    let port: u16 = std::env::args().nth(3).unwrap().parse().unwrap();
    let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::spawn(move_half(far_read, near_write));
    move_half(near_read, far_write).await;
}

async fn serve<F, T>(handle: F)
where
    F: Fn(TcpStream) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = unsafe { std::net::TcpListener::from_raw_fd(SOCKET) };
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(handle(stream));
    }
}

async fn serve_datagrams() {
    let socket = unsafe { std::net::UdpSocket::from_raw_fd(SOCKET) };
    socket.set_nonblocking(true).unwrap();
    let socket = UdpSocket::from_std(socket).unwrap();
    let mut buffer = [0u8; MESSAGE_BYTES];
    loop {
        let (got, from) = socket.recv_from(&mut buffer).await.unwrap();
        let _ = socket.send_to(&buffer[..got], from).await;
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let workers: usize = arguments[2].parse().unwrap();
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(workers).enable_io().build().unwrap();
    let mode = arguments[1].clone();
    let server = runtime.spawn(async move {
        match mode.as_str() {
            "echo" => serve(echo).await,
            "proxy" => serve(proxy).await,
            "udp" => serve_datagrams().await,
            _ => {}
        }
    });
    runtime.block_on(server).unwrap();
}
