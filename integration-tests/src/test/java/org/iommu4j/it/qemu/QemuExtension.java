// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.io.IOException;
import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.witness.Witnesses;
import org.junit.jupiter.api.extension.ClassTemplateInvocationContext;
import org.junit.jupiter.api.extension.ClassTemplateInvocationContextProvider;
import org.junit.jupiter.api.extension.Extension;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/** Owns QEMU in tests: which versions they run on, whether they run, and that what they start is stopped. */
final class QemuExtension implements ClassTemplateInvocationContextProvider {
    /** Name of the system property that makes a missing QEMU a failure. */
    static final String REQUIRED = "iommu4j.qemu.required";

    @Override
    public boolean supportsClassTemplate(ExtensionContext context) {
        return true;
    }

    @Override
    public Stream<? extends ClassTemplateInvocationContext> provideClassTemplateInvocationContexts(
            ExtensionContext context) {
        List<String> named = Qemu.named();
        return named.isEmpty()
                ? Stream.of(new Missing("QEMU", "-D" + Qemu.BINARIES + "=" + Qemu.ABSENT))
                : named.stream().map(QemuExtension::at);
    }

    private static ClassTemplateInvocationContext at(String binary) {
        try {
            return new Present(Qemu.at(binary));
        } catch (IOException e) {
            return new Missing(
                    binary, e.getMessage() + "; install qemu-system-x86 or name others by -D" + Qemu.BINARIES);
        }
    }

    /** Lets no test of the class begin. */
    private record Missing(String name, String reason) implements ClassTemplateInvocationContext {
        @Override
        public String getDisplayName(int invocationIndex) {
            return name;
        }

        @Override
        public void prepareInvocation(ExtensionContext context) {
            throw Witnesses.missing("QEMU", reason, REQUIRED);
        }
    }

    /** Runs the class on a QEMU. */
    private record Present(Qemu qemu) implements ClassTemplateInvocationContext {
        @Override
        public String getDisplayName(int invocationIndex) {
            return qemu.toString();
        }

        @Override
        public List<Extension> getAdditionalExtensions() {
            return List.of(new Labs(qemu));
        }
    }

    /** Gives each test a lab, which is closed with the test's context. */
    private record Labs(Qemu qemu) implements ParameterResolver {
        private static final Namespace NAMESPACE = Namespace.create(QemuExtension.class);

        @Override
        public ExtensionContextScope getTestInstantiationExtensionContextScope(ExtensionContext rootContext) {
            return ExtensionContextScope.TEST_METHOD;
        }

        @Override
        public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
            return parameter.getParameter().getType() == QemuLab.class;
        }

        @Override
        public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
            return context.getStore(NAMESPACE)
                    .getOrComputeIfAbsent(QemuLab.class, unused -> new QemuLab(qemu), QemuLab.class);
        }
    }
}
