// SPDX-License-Identifier: Apache-2.0
package com.example.fleet;

import java.nio.file.Path;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.Auditor;
import org.iommu4j.audit.Headline;
import org.iommu4j.host.HostInputs;
import org.iommu4j.spi.IommuVendors;

/** Audits captures, one line each. */
public final class Agent {
    private Agent() {}

    public static void main(String[] captures) {
        IommuVendors vendors = IommuVendors.load();
        for (String capture : captures) {
            Audit audit = new Auditor(vendors).audit(new HostInputs(vendors).path(Path.of(capture)).read());
            System.out.println(Headline.subject(audit) + ": " + audit.overall() + ", " + Headline.verdict(audit));
        }
    }
}
