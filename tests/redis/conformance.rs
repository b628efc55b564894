//! The conformance suites, on Redis and in memory.

/// On a private Redis behind a proxy.
mod redis {
    use std::{sync::Arc, time::Duration};

    use async_trait::async_trait;
    use tokio::sync::Mutex;
    use warmup::{
        adapters::redis::{Pool, RedisCaps, RedisLeases, RedisMembers},
        domain::caps::{CapLimits, HostCaps},
        ports::{Caps, Leases, MembershipStore},
    };
    use warmup_support::{
        conformance::{caps::CapsWorld, leases::LeasesWorld, members::MembersWorld},
        redis_server::{RedisServer, connect},
    };

    use crate::proxy::{Proxy, Trap};

    const MEMBERS: &str = "{warmup}:members";

    struct RedisWorld {
        server: Mutex<RedisServer>,
        proxy: Proxy,
        pool: Pool,
    }

    async fn world() -> RedisWorld {
        let server = RedisServer::start().await;
        let proxy = Proxy::to(server.port()).await;
        let pool = connect(&proxy.url(), 16).await.unwrap();
        RedisWorld { server: Mutex::new(server), proxy, pool }
    }

    #[async_trait]
    impl CapsWorld for RedisWorld {
        async fn limited_caps(&self, limits: CapLimits, hosts: HostCaps) -> Arc<dyn Caps> {
            CapsWorld::lose(self).await;
            Arc::new(RedisCaps::new(self.pool.clone(), "warmup", limits).unwrap().with_hosts(hosts))
        }

        async fn lose(&self) {
            self.server.lock().await.flush_all().await;
        }

        async fn go_away(&self) {
            self.server.lock().await.kill();
        }

        async fn lose_next_answer(&self) {
            self.proxy.set(Trap::Cut);
        }

        /// The trap springs once, and the next connection is a new one.
        async fn mend(&self) {}
    }

    #[async_trait]
    impl LeasesWorld for RedisWorld {
        async fn leases(&self) -> Arc<dyn Leases> {
            Arc::new(RedisLeases::new(self.pool.clone(), "warmup"))
        }

        /// Brings each key's expiry and each member's end nearer by `time`: the same to them, and nobody waits.
        async fn pass(&self, time: Duration) {
            let server = self.server.lock().await;
            let keys: Vec<String> = server.run(::redis::cmd("KEYS").arg("*")).await;
            for key in keys {
                let left: i64 = server.run(::redis::cmd("PTTL").arg(&key)).await;
                let left = left - time.as_millis() as i64;
                server.run::<i64>(::redis::cmd("PEXPIRE").arg(&key).arg(left)).await;
            }
            let members: Vec<String> = server.run(::redis::cmd("ZRANGE").arg(MEMBERS).arg(0).arg(-1)).await;
            for member in members {
                let earlier = -(time.as_millis() as i64);
                server.run::<f64>(::redis::cmd("ZINCRBY").arg(MEMBERS).arg(earlier).arg(member)).await;
            }
        }

        async fn about_now(&self) -> i64 {
            let (seconds, micros): (i64, i64) = self.server.lock().await.run(&::redis::cmd("TIME")).await;
            seconds * 1_000_000 + micros
        }

        async fn lose(&self) {
            self.server.lock().await.flush_all().await;
        }

        async fn go_away(&self) {
            self.server.lock().await.kill();
        }

        async fn lose_next_answer(&self) {
            self.proxy.set(Trap::Cut);
        }

        /// The trap springs once, and the next connection is a new one.
        async fn mend(&self) {}
    }

    #[async_trait]
    impl MembersWorld for RedisWorld {
        async fn members(&self) -> Arc<dyn MembershipStore> {
            Arc::new(RedisMembers::new(self.pool.clone(), "warmup"))
        }
    }

    mod caps {
        warmup_support::caps_conformance!(super::world);
    }

    mod leases {
        warmup_support::leases_conformance!(super::world);
    }

    mod members {
        warmup_support::members_conformance!(super::world);
    }
}

/// In memory, under a clock that is moved by hand.
mod memory {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use async_trait::async_trait;
    use warmup::{
        domain::caps::{CapLimits, HostCaps},
        ports::{Caps, Leases, MembershipStore},
        simulation::{Fault, MemoryCaps, MemoryLeases},
    };
    use warmup_support::{
        conformance::{caps::CapsWorld, leases::LeasesWorld, members::MembersWorld},
        hand_clock::HandClock,
    };

    #[derive(Default)]
    struct MemoryCapsWorld {
        clock: Arc<HandClock>,
        caps: Mutex<Option<Arc<MemoryCaps>>>,
    }

    impl MemoryCapsWorld {
        fn service(&self) -> Arc<MemoryCaps> {
            self.caps.lock().unwrap().clone().expect("a case asks for the caps first")
        }
    }

    async fn caps_world() -> MemoryCapsWorld {
        MemoryCapsWorld::default()
    }

    #[async_trait]
    impl CapsWorld for MemoryCapsWorld {
        async fn limited_caps(&self, limits: CapLimits, hosts: HostCaps) -> Arc<dyn Caps> {
            let caps = Arc::new(MemoryCaps::new(limits, self.clock.clone()).unwrap().with_hosts(hosts));
            *self.caps.lock().unwrap() = Some(caps.clone());
            caps
        }

        async fn lose(&self) {
            self.service().lose();
        }

        async fn go_away(&self) {
            self.service().set_fault(Some(Fault::Unavailable));
        }

        async fn lose_next_answer(&self) {
            self.service().set_fault(Some(Fault::AnswerLost));
        }

        async fn mend(&self) {
            self.service().set_fault(None);
        }
    }

    struct MemoryLeasesWorld {
        clock: Arc<HandClock>,
        leases: Arc<MemoryLeases>,
    }

    async fn leases_world() -> MemoryLeasesWorld {
        let clock = Arc::new(HandClock::default());
        MemoryLeasesWorld { clock: clock.clone(), leases: Arc::new(MemoryLeases::new(clock)) }
    }

    #[async_trait]
    impl LeasesWorld for MemoryLeasesWorld {
        async fn leases(&self) -> Arc<dyn Leases> {
            self.leases.clone()
        }

        async fn pass(&self, time: Duration) {
            self.clock.pass(time);
        }

        async fn about_now(&self) -> i64 {
            self.clock.micros()
        }

        async fn lose(&self) {
            self.leases.lose();
        }

        async fn go_away(&self) {
            self.leases.set_fault(Some(Fault::Unavailable));
        }

        async fn lose_next_answer(&self) {
            self.leases.set_fault(Some(Fault::AnswerLost));
        }

        async fn mend(&self) {
            self.leases.set_fault(None);
        }
    }

    #[async_trait]
    impl MembersWorld for MemoryLeasesWorld {
        async fn members(&self) -> Arc<dyn MembershipStore> {
            self.leases.clone()
        }
    }

    mod caps {
        warmup_support::caps_conformance!(super::caps_world);
    }

    mod leases {
        warmup_support::leases_conformance!(super::leases_world);
    }

    mod members {
        warmup_support::members_conformance!(super::leases_world);
    }
}
