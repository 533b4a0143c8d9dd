//! The two sites of the vendor: accounts, endpoints and lists of regions of their own. Does not know which of them an account is of
//! but by its endpoint.

/// A site (TRTC.md section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// Tencent Cloud in mainland China.
    Mainland,
    /// The international one. Its endpoint does not know `EnableProgress`, `Tempo` and `IdleTimeout`, and takes `Volume` up to 100
    /// (TRTC.md section 1.1).
    International,
}

impl Site {
    /// The site whose endpoint has this host; `None`: it is not one of TRTC's. The hosts are `trtc.tencentcloudapi.com` and
    /// `trtc.intl.tencentcloudapi.com`, and each with a region: `trtc.ap-singapore.tencentcloudapi.com`.
    pub fn of_host(host: &str) -> Option<Site> {
        let middle = host.strip_prefix("trtc.")?.strip_suffix("tencentcloudapi.com")?;
        let is_region = |name: &str| name.contains('-') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match middle.strip_suffix('.').map(|middle| middle.split('.').collect::<Vec<_>>()).as_deref() {
            None if middle.is_empty() => Some(Site::Mainland),
            Some(["intl"]) => Some(Site::International),
            Some(["intl", region] | [region, "intl"]) if is_region(region) => Some(Site::International),
            Some([region]) if is_region(region) => Some(Site::Mainland),
            _ => None,
        }
    }

    /// The regions that its documentation lists for Start, Stop and Describe alike (TRTC.md section 5; the mainland page of Describe was
    /// not found and is taken to list what its siblings do). A task started elsewhere may be one that cannot be stopped.
    pub fn regions(self) -> &'static [&'static str] {
        match self {
            Site::Mainland => &["ap-beijing", "ap-chongqing", "ap-guangzhou", "ap-shanghai", "ap-singapore"],
            Site::International => &["ap-bangkok", "ap-jakarta", "ap-mumbai", "ap-singapore"],
        }
    }

    /// As messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Site::Mainland => "mainland",
            Site::International => "international",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trtc::room::REGIONS_OF_ALL_ACTIONS;

    #[test]
    fn an_endpoint_is_of_one_site_or_not_of_trtc() {
        for (host, site) in [
            ("trtc.tencentcloudapi.com", Some(Site::Mainland)),
            ("trtc.ap-singapore.tencentcloudapi.com", Some(Site::Mainland)),
            ("trtc.intl.tencentcloudapi.com", Some(Site::International)),
            ("trtc.intl.ap-singapore.tencentcloudapi.com", Some(Site::International)),
            ("cvm.tencentcloudapi.com", None),
            ("trtc.tencentcloudapi.com.example.com", None),
            ("trtc.example.com", None),
            ("trtc.xtencentcloudapi.com", None),
            ("127.0.0.1:8621", None),
        ] {
            assert_eq!(Site::of_host(host), site, "{host}");
        }
    }

    #[test]
    fn every_region_of_a_site_is_one_of_all() {
        let all = [Site::Mainland, Site::International].into_iter().flat_map(Site::regions);
        assert!(all.clone().all(|region| REGIONS_OF_ALL_ACTIONS.contains(region)));
        assert!(REGIONS_OF_ALL_ACTIONS.iter().all(|region| all.clone().any(|known| known == region)));
    }
}
