
#[tokio::test(flavor = "multi_thread")]
async fn zz_measure() {
    let server = BaoServer::start();
    let make = |ceiling: Option<usize>| {
        let http = HttpSettings { address: server.address(), ..HttpSettings::default() };
        let auth = Auth::Token(BaoServer::ROOT_TOKEN.to_owned().into());
        let client = VaultClient::new(VaultSettings { http, namespace: None, auth }).expect("a client");
        if let Some(ceiling) = ceiling { client.allow_in_flight(ceiling); }
        client
    };
    let (free, limited) = (make(None), make(Some(16)));
    server.client().write("secret", "app", &json!({ "a": "x".repeat(150) }));
    let path = SecretPath::parse("secret/app", &[Mount::parse("secret").expect("a mount")]).expect("a path");
    let mut totals = [0.0; 2];
    for round in 0..12 {
        for (at, client) in [&free, &limited].into_iter().enumerate() {
            let start = Instant::now();
            let workers: Vec<_> = (0..16).map(|_| { let (client, path) = (client.clone(), path.clone()); tokio::spawn(async move {
                for _ in 0..150 { let s = client.read(&path).await.expect("read"); let _ = client.write(&path, &s.data, None).await.expect("write"); }
            })}).collect();
            for worker in workers { worker.await.expect("worker"); }
            if round > 1 { totals[at] += start.elapsed().as_secs_f64(); }
        }
    }
    eprintln!("MEASURE free {:.2} limited {:.2} ratio {:.3} {}", totals[0], totals[1], totals[1] / totals[0], limited.throttle().unwrap());
}
