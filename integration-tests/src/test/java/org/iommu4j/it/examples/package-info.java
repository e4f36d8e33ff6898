// SPDX-License-Identifier: Apache-2.0

/** The vendor of {@code examples} in the command: its cases and audits need no change elsewhere. */
package org.iommu4j.it.examples;
