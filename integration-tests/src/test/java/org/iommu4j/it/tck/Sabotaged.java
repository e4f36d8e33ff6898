// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;
import org.iommu4j.tck.DriverConformance;
import org.iommu4j.tck.SiliconConformance;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.VendorConformance;

/** The kit's tests, on the subject that a saboteur has been at. Run by {@link SaboteursTest} only. */
final class Sabotaged {
    /** Inherited by the threads that the kit runs tests in. */
    private static final ThreadLocal<Subject> SUBJECT = new InheritableThreadLocal<>();

    private Sabotaged() {}

    /** Runs something while the tests below have a subject. */
    static void over(Subject subject, Runnable run) {
        SUBJECT.set(subject);
        try {
            run.run();
        } finally {
            SUBJECT.remove();
        }
    }

    /** Of drivers. */
    static class Driver extends DriverConformance {
        static List<Subject> subjects() {
            return List.of(SUBJECT.get());
        }
    }

    /** Of vendors. */
    static class Vendor extends VendorConformance {
        static List<Subject> subjects() {
            return List.of(SUBJECT.get());
        }

        @Override
        protected List<String> kernelLines() {
            return Subjects.kernelLines(SUBJECT.get());
        }
    }

    /** Of silicon. */
    static class Silicon extends SiliconConformance {
        static List<Subject> subjects() {
            return List.of(SUBJECT.get());
        }
    }
}
