//! The program: builds the real machine, hands over to `app`, returns the exit code.

use signoz_setup::app;
use signoz_setup::error::Signal;
use signoz_setup::system::{Cancel, System};
use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::from(1);
        }
    };
    let cancel = Cancel::default();
    runtime.spawn(watch_signals(cancel.clone()));
    let system = System::real(runtime.handle().clone(), cancel);
    let code = app::run(std::env::args_os(), system);
    // A receiver's open connections must not hold the exit up.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Remembers SIGINT, SIGTERM and SIGHUP; the work in progress looks at the flag, rolls back and ends.
async fn watch_signals(cancel: Cancel) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hang_up)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => cancel.set(Signal::Interrupt),
            _ = terminate.recv() => cancel.set(Signal::Terminate),
            _ = hang_up.recv() => cancel.set(Signal::Terminate),
        }
    }
}
