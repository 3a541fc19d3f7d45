//! `POST /containers/{id}/exec` and `POST /exec/{id}/start`.

wire! {
    /// Body of exec create.
    ExecCreate {
        "User" user: String,
        "Privileged" privileged: bool,
        "Tty" tty: bool,
        ? "ConsoleSize" console_size: Option<[u16; 2]>,
        "AttachStdin" attach_stdin: bool,
        "AttachStderr" attach_stderr: bool,
        "AttachStdout" attach_stdout: bool,
        "Detach" detach: bool,
        "DetachKeys" detach_keys: String,
        "Env" env: Option<Vec<String>>,
        "WorkingDir" working_dir: String,
        "Cmd" cmd: Option<Vec<String>>,
    }
}
wire! {
    /// Body of exec start.
    ExecStart {
        "Detach" detach: bool,
        "Tty" tty: bool,
        ? "ConsoleSize" console_size: Option<[u16; 2]>,
    }
}
wire! {
    /// Answer of `GET /exec/{id}/json`. `ExitCode` is null until the process ends; `DetachKeys` is base64.
    ExecInspect {
        "ID" id: String,
        "Running" running: bool,
        "ExitCode" exit_code: Option<i32>,
        "ProcessConfig" process_config: ProcessConfig,
        "OpenStdin" open_stdin: bool,
        "OpenStderr" open_stderr: bool,
        "OpenStdout" open_stdout: bool,
        "CanRemove" can_remove: bool,
        "ContainerID" container_id: String,
        "DetachKeys" detach_keys: String,
        "Pid" pid: i32,
    }
}
wire! {
    /// The command of an exec.
    ProcessConfig {
        "tty" tty: bool,
        "entrypoint" entrypoint: String,
        "arguments" arguments: Vec<String>,
        ? "privileged" privileged: Option<bool>,
        ? "user" user: String,
    }
}
